import type { Argv, CommandModule } from 'yargs';
import { everyCode, type ErrorCode } from '../../src/util/error-codes.js';
import { UserError } from '../../src/util/errors.js';
import { largest } from '../../src/util/extremes.js';
import { nearest } from '../../src/util/nearest.js';
import { addressOf, entryOf, meaningOf } from '../error-page.js';
import { summaries } from '../summaries.js';

interface ExplainArguments {
  code?: string;
  json: boolean;
}

const codes = everyCode().map(([code]) => code);

export const explainCommand: CommandModule<object, ExplainArguments> = {
  command: 'explain [code]',
  describe: summaries.explain,
  builder: (yargs) =>
    yargs
      .positional('code', { type: 'string', describe: 'code of an error; without one all are listed' })
      .option('json', { type: 'boolean', default: false, describe: 'print it as JSON, and nothing else' })
      .example('$0 explain CONFIG_INVALID', 'what it means, what to do, an example')
      .example('$0 explain', 'every code and its meaning') as Argv<ExplainArguments>,
  handler: ({ code, json }) => {
    if (code === undefined) process.stdout.write(json ? `${JSON.stringify(codes.map(about))}\n` : list());
    else explain(known(code), json);
  },
};

function explain(code: ErrorCode, json: boolean): void {
  if (json) process.stdout.write(`${JSON.stringify({ ...about(code), text: entryOf(code) })}\n`);
  else process.stdout.write(`${code}\n\n${entryOf(code)}\n${addressOf(code)}\n`);
}

function about(code: ErrorCode) {
  return { code, meaning: meaningOf(code), url: addressOf(code) };
}

/** The code that was given, in upper or lower case. */
function known(given: string): ErrorCode {
  const wanted = given.toUpperCase().replaceAll('-', '_');
  const code = codes.find((one) => one === wanted);
  if (code !== undefined) return code;
  const meant = nearest(wanted, codes);
  const hint = meant === undefined ? '' : `did you mean ${meant}? `;
  throw new UserError('USAGE', `there is no code ${given}: ${hint}pod-dist explain lists all of them`);
}

function list(): string {
  const width = largest(codes.map(({ length }) => length));
  return everyCode()
    .map(([code, meaning]) => `${code.padEnd(width)}  ${meaning}\n`)
    .join('');
}
