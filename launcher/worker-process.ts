import { parseArgs } from 'node:util';
import { consoleWritten, goOnWithoutConsole, guardConsole } from '../src/console/console.js';
import { guardOutput } from '../src/console/terminal.js';
import { guardSignals, leaveSignalsToLauncher } from '../src/util/signals.js';
import { launchVariables, readJobEnvironment } from '../src/job/join/environment.js';
import { endWithParent, untilOwned } from '../src/job/launch/end-with-parent.js';
import { reportFailure } from './report-failure.js';

/** Arguments that pod-dist gives the workers that it starts, by the names of the flags of `pod-dist worker`, which lacks `features` and `trial`. */
const options = {
  config: { type: 'string' },
  out: { type: 'string' },
  resume: { type: 'string' },
  'require-gpu': { type: 'boolean' },
  evaluate: { type: 'string' },
  features: { type: 'string' },
  trial: { type: 'string' },
  set: { type: 'string', multiple: true },
  backend: { type: 'string' },
  module: { type: 'string' },
  'allow-module': { type: 'boolean', default: false },
} as const;

/** A worker of `pod-dist launch`: `pod-dist worker` without the help, which takes longer to make than all else. */
async function main(args: string[]): Promise<void> {
  const { work } = await import('../src/launching/work.js');
  const { trialSchema } = await import('../src/training/trial.js');
  const { values } = parseArgs({ args, options });
  const { config: file, out, resume, evaluate, features, trial, set, backend, module: backbone } = values;
  const place = readJobEnvironment(process.env);
  goOnWithoutConsole();
  if (place.outlives) await owned;
  else endWithParent();
  process.channel?.unref();
  leaveSignalsToLauncher();
  await work(place, {
    ...{ file, out, evaluate, features, set, args },
    trial: trial === undefined ? undefined : trialSchema.parse(JSON.parse(trial)),
    resume: resume === 'must' ? resume : undefined,
    requireGpu: values['require-gpu'],
    flags: backend === undefined ? [] : [{ path: 'backend', value: backend, source: '--backend' }],
    allowed: { all: values['allow-module'], backbone },
  });
}

const owned = process.env[launchVariables.outlives] === undefined ? undefined : untilOwned();
guardOutput();
guardConsole();
guardSignals();
process.on('uncaughtException', (error) => process.exit(reportFailure(error)));
main(process.argv.slice(2))
  .then(() => consoleWritten())
  .then(() => process.exit())
  .catch((error: unknown) => process.exit(reportFailure(error)));
