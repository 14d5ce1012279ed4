import yargs, { type Argv } from 'yargs';
import { messageOf, UserError } from '../src/util/errors.js';
import { nearest } from '../src/util/nearest.js';
import { commands } from './command-table.js';
import { summaries } from './summaries.js';
import { version } from './version.js';

/** Flags of a command, as yargs knows them. */
interface Declared {
  key: Record<string, boolean>;
  alias: Record<string, string[]>;
  array: string[];
}

/** What yargs has besides its types. */
interface Parser extends Argv {
  getOptions(): Declared;
  getInternalMethods(): { getUsageInstance(): { cacheHelpMessage(): void } };
}

/** Runs the command that the arguments name. */
export async function main(args: string[]): Promise<void> {
  if (args[0] === 'complete') return (await import('./completion/print.js')).printCandidates(args.slice(1));
  const wanted = Object.hasOwn(commands, args[0] ?? '') ? (args[0] as keyof typeof commands) : undefined;
  // yargs loses a lone dash among positional arguments.
  const given = wanted === 'predict' ? args.map((arg) => (arg === '-' ? '/dev/stdin' : arg)) : args;
  const parser = yargs(given) as Parser;
  // yargs lays out the whole help after a command has begun, which takes longer than to read its flags.
  parser.getInternalMethods().getUsageInstance().cacheHelpMessage = () => {};
  parser
    .scriptName('pod-dist')
    .usage(
      '$0 <command>\n\nTrains softmax-free classifiers with POD Loss, on any number of workers with the same result.',
    )
    .version(version())
    .help()
    .alias('help', 'h')
    .parserConfiguration({ 'dot-notation': false, 'boolean-negation': false })
    .strict()
    .check((args) => refuseRepeated(args, parser.getOptions()))
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .fail((message: string | null, error: Error | undefined) => {
      if (error && error.name !== 'YError') throw error;
      const line = message ?? messageOf(error);
      const hint = suggestion(line, wanted ? Object.keys(parser.getOptions().key) : Object.keys(summaries));
      throw new UserError('USAGE', `${line}; ${hint}see pod-dist ${wanted ? `${wanted} ` : ''}--help`);
    });
  if (wanted) parser.command(await commands[wanted]());
  else withEveryName(parser);
  await parser.parseAsync();
}

/** Refuses a flag that is given several times but takes no list: yargs makes a list of every repeated flag. */
function refuseRepeated(args: Record<string, unknown>, declared: Declared): true {
  const lists = new Set([...declared.array, ...Object.values(declared.alias).flat()]);
  const repeated = Object.keys(declared.key).find((name) => Array.isArray(args[name]) && !lists.has(name));
  if (repeated === undefined) return true;
  throw new UserError(
    'USAGE',
    `--${repeated} is given ${(args[repeated] as unknown[]).length} times: give it once`,
  );
}

/** Suggestion for the word that yargs does not know, as a part of a sentence; empty where no known word is near. */
function suggestion(message: string, known: readonly string[]): string {
  const [, unknown] = /^Unknown arguments?: ([^,]+)/.exec(message) ?? [];
  const meant = unknown === undefined ? undefined : nearest(unknown, known);
  return meant === undefined ? '' : `did you mean ${meant}? `;
}

function withEveryName(parser: Argv): void {
  for (const [name, summary] of Object.entries(summaries)) parser.command(name, summary);
  parser
    .demandCommand(1, 'give a command')
    .example('$0 launch --workers 4', 'train the embedded digits with four workers')
    .epilogue('Each command has a --help of its own.');
}
