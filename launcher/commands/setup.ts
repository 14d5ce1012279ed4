import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { setup } from '../../src/backend/native/setup.js';
import { listGpus } from '../devices.js';

interface SetupArguments {
  cuda?: boolean;
  force: boolean;
  json: boolean;
}

export const setupCommand: CommandModule<object, SetupArguments> = {
  command: 'setup',
  describe: 'build the native TensorFlow addon for this machine (needs python3 with pip, and g++)',
  builder: (yargs) =>
    yargs
      .option('cuda', { type: 'boolean', describe: 'for NVIDIA GPUs (default: where nvidia-smi lists one)' })
      .option('force', { type: 'boolean', default: false, describe: 'build again' })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the result as JSON, and nothing else',
      })
      .example('$0 setup', 'native TensorFlow, several times faster than wasm'),
  handler: run,
};

async function run({ cuda, force, json }: ArgumentsCamelCase<SetupArguments>): Promise<void> {
  const started = performance.now();
  const elapsed = () => `${((performance.now() - started) / 1000).toFixed(0)} s`;
  const say = (line: string) => void (json ? process.stderr : process.stdout).write(`${line}\n`);
  let current = 'looking around';
  const timer = setInterval(() => say(`  still ${current}, ${elapsed()}`), 10_000);
  try {
    const result = await setup({
      cuda: cuda ?? (await listGpus()).length > 0,
      force,
      onStep: (line) => {
        current = line;
        say(`${elapsed()}: ${line}`);
      },
    });
    if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else {
      const what = result.cached ? 'is ready already' : `is ready after ${elapsed()}`;
      say(
        `native TensorFlow ${result.tensorflow} on the ${result.gpu ? 'GPU' : 'CPU'} ${what}, in ${result.folder}`,
      );
    }
  } finally {
    clearInterval(timer);
  }
}
