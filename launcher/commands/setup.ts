import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { origins, type Origin } from '../../src/backend/native/library.js';
import { setup } from '../../src/backend/native/setup.js';
import { findGpus } from '../../src/backend/devices/nvidia.js';
import { summaries } from '../summaries.js';

interface SetupArguments {
  cuda?: boolean;
  noCuda?: boolean;
  force: boolean;
  from?: Origin;
  library?: string;
  json: boolean;
}

export const setupCommand: CommandModule<object, SetupArguments> = {
  command: 'setup',
  describe: summaries.setup,
  builder: (yargs) =>
    yargs
      .option('cuda', {
        type: 'boolean',
        describe: 'for NVIDIA GPUs; --cuda=false: for the CPU (default: where nvidia-smi lists one)',
      })
      .option('no-cuda', { type: 'boolean', hidden: true, conflicts: 'cuda' })
      .option('force', { type: 'boolean', default: false, describe: 'build again' })
      .option('from', {
        choices: origins,
        requiresArg: true,
        describe:
          "TensorFlow's origin: its Python wheel, this machine, or the addon's own archive (default: the first that has it)",
      })
      .option('library', {
        type: 'string',
        requiresArg: true,
        describe: 'folder of an installed libtensorflow, with lib and include',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the result as JSON, and nothing else',
      })
      .example('$0 setup', 'native TensorFlow, several times faster than wasm'),
  handler: setUp,
};

async function setUp({
  cuda,
  noCuda,
  force,
  from,
  library,
  json,
}: ArgumentsCamelCase<SetupArguments>): Promise<void> {
  const started = performance.now();
  const elapsed = () => `${((performance.now() - started) / 1000).toFixed(0)} s`;
  const say = (line: string) => void (json ? process.stderr : process.stdout).write(`${line}\n`);
  let current = 'looking around';
  let share = '';
  const timer = setInterval(() => say(`  still ${current}${share}, ${elapsed()}`), 5000);
  try {
    const forCuda = !noCuda && (cuda ?? (await findGpus()).gpus.length > 0);
    const result = await setup({
      cuda: forCuda,
      force,
      from,
      library,
      progress: {
        step: (line) => {
          current = line;
          share = '';
          say(`${elapsed()}: ${line}`);
        },
        bytes: (received, total) => {
          const done = total ? received / total : 0;
          share = `: ${(100 * done).toFixed(0)} %`;
        },
      },
    });
    if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else {
      const what = result.cached ? 'is ready already' : `is ready after ${elapsed()}`;
      if (forCuda && !result.gpu)
        say('built for CUDA, but it finds no GPU to compute on: see pod-dist doctor');
      say(
        `native TensorFlow ${result.tensorflow} on the ${result.gpu ? 'GPU' : 'CPU'} ${what}, in ${result.folder}`,
      );
    }
  } finally {
    clearInterval(timer);
  }
}
