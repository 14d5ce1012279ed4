import type { Options } from 'yargs';
import type { AllowedModules } from '../src/checkpoint/modules.js';
import type { Override } from '../src/config/layer.js';
import { listSettings } from '../src/config/settings.js';
import type { Resume } from '../src/launching/plan-run.js';
import { readDuration } from '../src/util/duration.js';
import { weightsChoices } from '../src/optim/average.js';
import type { EndRules } from '../src/util/signals.js';
import { UserError } from '../src/util/errors.js';

const mostGraceSeconds = 86_400;

/** Flags that each set one setting of the recipe: name, setting and type. */
const shortcuts = [
  { flag: 'workers', path: 'workers', type: 'string', alias: 'n' },
  { flag: 'epochs', path: 'epochs', type: 'number', alias: 'e' },
  { flag: 'batch-size', path: 'batchSize', type: 'number', alias: 'b' },
  { flag: 'seed', path: 'seed', type: 'number' },
  { flag: 'backend', path: 'backend', type: 'string' },
  { flag: 'precision', path: 'precision', type: 'string' },
  { flag: 'bitwise', path: 'distributed.bitwise', type: 'number' },
  { flag: 'elastic', path: 'elastic.enabled', type: 'boolean' },
  { flag: 'spares', path: 'elastic.spares', type: 'number' },
  { flag: 'wire', path: 'distributed.wire', type: 'string' },
  { flag: 'trace', path: 'trace', type: 'string' },
  { flag: 'log', path: 'log', type: 'string' },
  { flag: 'metrics', path: 'metrics', type: 'string' },
  { flag: 'check-collectives', path: 'distributed.checkCollectives', type: 'boolean' },
  { flag: 'port', path: 'distributed.port', type: 'number' },
] as const;

/** Path of the setting that a flag gives. */
export function settingOf(flag: string): string | undefined {
  return shortcuts.find((shortcut) => shortcut.flag === flag)?.path;
}

/** Flags of every command that reads a recipe; their help comes from the recipe's schema. */
export function recipeFlags(): Record<string, Options> {
  const descriptions = new Map(listSettings().map(({ path, forms }) => [path, forms[0]?.description]));
  const flags: Record<string, Options> = {
    config: {
      type: 'string',
      alias: 'c',
      requiresArg: true,
      describe: 'recipe: a file of YAML or TypeScript, or the name of a shipped one (default: digits)',
    },
    set: {
      type: 'string',
      array: true,
      nargs: 1,
      default: [],
      describe: 'override any setting: --set optimizer.momentum=0.8',
    },
  };
  for (const { flag, path, type, ...rest } of shortcuts) {
    const description = descriptions.get(path);
    flags[flag] = {
      type,
      ...rest,
      requiresArg: type !== 'boolean',
      describe: `${description ? `${description} ` : ''}(setting ${path})`,
    };
  }
  return flags;
}

/** Flag of the commands that show how a run goes on. */
export const plainFlag = {
  type: 'boolean',
  default: false,
  describe: 'lines in place of a view that is redrawn, as anything but a terminal gets',
} as const satisfies Options;

/** Flag of the commands that work with a trained model: names the checkpoint. */
export const checkpointFlag = {
  type: 'string',
  demandOption: true,
  requiresArg: true,
  describe: 'a run folder (its newest checkpoint) or one checkpoint folder',
} as const satisfies Options;

/** Flag of the commands that compute with several worker processes. */
export const workersFlag = {
  type: 'number',
  alias: 'n',
  default: 1,
  requiresArg: true,
  describe: 'worker processes',
} as const satisfies Options;

/** Flag of the commands that take settings over those of a checkpoint. */
export const setFlag = {
  type: 'string',
  array: true,
  nargs: 1,
  default: [] as string[],
  describe: 'override a setting, such as --set evaluation.mirror=true',
} as const satisfies Options;

/** Flag of the commands that work with a trained model: names the backend that computes it. */
export function backendFlag() {
  const describe = recipeFlags().backend?.describe;
  return { type: 'string', requiresArg: true, describe } as const satisfies Options;
}

/** Flag of the commands that work with a trained model: which of its weights. */
export const weightsFlag = {
  choices: weightsChoices,
  requiresArg: true,
  describe: "of a run with ema.decay: their average, or as trained (default: the run's evaluation.weights)",
} as const satisfies Options;

/** Flags of the commands that open a model which somebody else may have made, for its backbone and plug-ins. */
export const moduleFlags: Record<string, Options> = {
  'allow-module': {
    type: 'boolean',
    default: false,
    describe:
      'run the modules that the checkpoint names (backbone, plug-ins), which you trust; needless for those that were trained with on this machine',
  },
  module: { type: 'string', requiresArg: true, describe: 'a backbone module of your own in its place' },
};

/** Modules that may be imported. */
export function allowedModules({ allowModule, module }: ModuleArguments): AllowedModules {
  return { all: allowModule, backbone: module };
}

export interface ModuleArguments {
  allowModule: boolean;
  module?: string;
}

function readResume(given: string | boolean | undefined): Resume | undefined {
  if (given === undefined || given === false || given === 'false') return undefined;
  if (given === '' || given === true || given === 'true') return 'start';
  if (given === 'must') return given;
  throw new UserError('USAGE', `--resume takes no value but must, not ${given}: --out names the run folder`);
}

function readGrace(given: string): number {
  const seconds = given.trim() === '' ? NaN : Number(given);
  if (seconds >= 0 && seconds <= mostGraceSeconds) return seconds;
  throw new UserError('USAGE', `--grace ${given}: give seconds from 0 to ${mostGraceSeconds}`);
}

export interface EndArguments {
  /** Seconds. */
  maxTime?: number;
  grace: number;
}

/** How the job that these flags start follows requests to end. */
export function endRules({ maxTime, grace }: EndArguments): EndRules {
  return { graceSeconds: grace, maxSeconds: maxTime };
}

/** Flags of every command that trains. */
export const runFlags: Record<string, Options> = {
  out: { type: 'string', alias: 'o', requiresArg: true, describe: 'run folder (default: runs/<name>)' },
  resume: {
    type: 'string',
    coerce: readResume,
    describe:
      'go on from the newest checkpoint of the run, or start where there is none yet (=must: refuse then)',
  },
  'max-time': {
    type: 'string',
    requiresArg: true,
    coerce: (given: string | undefined) =>
      given === undefined ? undefined : readDuration(given, '--max-time'),
    describe:
      'end in order after this time, such as 1h30m: with a checkpoint after the step under way, and exit code 75',
  },
  grace: {
    type: 'string',
    default: '30',
    requiresArg: true,
    coerce: readGrace,
    describe:
      'seconds that SIGTERM and SIGUSR1 leave the job to end in order, likewise; 0: they stop it at once',
  },
  'require-gpu': { type: 'boolean', default: false, describe: 'refuse to train without a GPU' },
};

/** The settings that the given flags override. */
export function overrides(args: Readonly<Record<string, unknown>>): Override[] {
  return shortcuts.flatMap(({ flag, path }) => {
    const value = args[flag];
    if (value === undefined) return [];
    if (flag === 'workers') return readWorkers(value as string);
    const override = { path, value: readValue(flag, value), source: `--${flag}` };
    // A range of workers asks for an elastic job in the same way.
    const implied = flag === 'spares' && Number(value) > 0 && args.elastic === undefined;
    return implied ? [override, { ...override, path: 'elastic.enabled', value: true }] : [override];
  });
}

/** Lists are separated by commas; an address that is a number is a port. */
function readValue(flag: string, value: unknown): unknown {
  if (flag === 'log')
    return String(value)
      .split(',')
      .map((name) => name.trim());
  return flag === 'metrics' && /^\d+$/.test(String(value)) ? Number(value) : value;
}

/** A number of workers, or a range of an elastic job, such as 2:8. */
function readWorkers(text: string): Override[] {
  const source = `--workers ${text}`;
  const range = /^(\d+):(\d+)$/.exec(text);
  if (!range)
    return [{ path: 'workers', value: text.trim() === '' ? NaN : Number(text), source: '--workers' }];
  const [least, most] = range.slice(1).map(Number);
  return [
    { path: 'workers', value: most, source },
    { path: 'elastic.least', value: least, source },
    { path: 'elastic.enabled', value: true, source },
  ];
}

/** The arguments that give `pod-dist worker` what `args` of `launch` say of recipe, modules and run. */
export function workerArguments(args: Readonly<Record<string, unknown>>): string[] {
  const own = shortcuts.flatMap(({ flag }) => (flag === 'workers' ? [] : [flag]));
  const named = [...own, 'config', 'out', 'max-time', 'grace', 'require-gpu', 'allow-module', 'module'];
  const given = named.flatMap((flag) => {
    const value = args[flag];
    if (value === undefined || value === false) return [];
    if (value === true) return [`--${flag}`];
    return [`--${flag}`, flag === 'max-time' ? `${value as number}s` : String(value as string | number)];
  });
  const set = (args.set as string[]).flatMap((assignment) => ['--set', assignment]);
  const { resume } = args as { resume?: Resume };
  return [
    ...given,
    ...set,
    ...(resume === undefined ? [] : [resume === 'must' ? '--resume=must' : '--resume']),
  ];
}
