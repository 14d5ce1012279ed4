import Table from 'cli-table3';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { drawBars } from '../../../src/bench/bar-chart.js';
import { benchmarkStep, benchmarkTorch, type StepRow } from '../../../src/bench/step.js';
import { backends as allBackends, devicesOf } from '../../../src/backend/backends.js';
import { precisions as allPrecisions } from '../../../src/backend/precision.js';
import type { KernelTime } from '../../../src/backend/profile.js';
import { configSchema, modelNames, type Config } from '../../../src/config/schema.js';
import { availableCores } from '../../../src/util/cores.js';
import { UserError } from '../../../src/util/errors.js';
import { requireReplaceable } from '../../../src/util/regular-file.js';
import { present } from '../../../src/util/present.js';

interface StepArguments {
  model: string;
  batch: number;
  backend: string;
  threads: number;
  steps: number;
  rounds: number;
  capture: 'auto' | 'off' | 'both';
  precision: 'float32' | 'bf16' | 'both';
  peers: boolean;
  python: string;
  profile: boolean;
  json: boolean;
  svg?: string;
}

export const stepCommand: CommandModule<object, StepArguments> = {
  command: 'step',
  describe: 'training steps on one worker, beside PyTorch',
  builder: (yargs) =>
    yargs
      .option('model', { type: 'string', default: 'resnet20', requiresArg: true, describe: 'a backbone' })
      .option('batch', {
        type: 'number',
        alias: 'b',
        default: 128,
        requiresArg: true,
        describe: 'images a step',
      })
      .option('backend', {
        type: 'string',
        default: 'auto',
        requiresArg: true,
        describe: 'backend, or several as native,wasm',
      })
      .option('threads', {
        type: 'number',
        default: availableCores(),
        requiresArg: true,
        describe: 'threads of native TensorFlow and of PyTorch',
      })
      .option('steps', {
        type: 'number',
        default: 20,
        requiresArg: true,
        describe: 'steps to count, at most',
      })
      .option('rounds', {
        type: 'number',
        default: 1,
        requiresArg: true,
        describe: "turns of every system; each one's fastest counts",
      })
      .option('capture', {
        choices: ['auto', 'off', 'both'] as const,
        default: 'auto' as const,
        requiresArg: true,
        describe: 'steps as one graph where the backend can, operation by operation, or both in turn',
      })
      .option('precision', {
        choices: [...allPrecisions, 'both'] as const,
        default: 'float32' as const,
        requiresArg: true,
        describe: 'of convolutions and matrix products (PyTorch: autocast), or both in turn',
      })
      .option('peers', {
        type: 'boolean',
        default: false,
        describe: 'measure PyTorch eager as well, where it is installed',
      })
      .option('python', {
        type: 'string',
        default: 'python3',
        requiresArg: true,
        describe: 'interpreter that has PyTorch',
      })
      .option('profile', { type: 'boolean', default: false, describe: 'list the costliest kernels' })
      .option('json', { type: 'boolean', default: false, describe: 'print one JSON object a row instead' })
      .option('svg', { type: 'string', requiresArg: true, describe: 'draw images a second' })
      .example('$0 bench step --model resnet20 --batch 128 --peers', 'ResNet-20, beside PyTorch')
      .example('$0 bench step --backend native --capture both', 'what running steps as one graph gains')
      .example('$0 bench step --backend native --precision both', 'what bf16 gains on this processor'),
  handler: benchStep,
};

async function benchStep(args: ArgumentsCamelCase<StepArguments>): Promise<void> {
  const { batch, threads, steps, rounds, capture, precision, peers, python, profile, json, svg } = args;
  const captures = capture === 'both' ? (['auto', 'off'] as const) : [capture];
  const precisions = precision === 'both' ? allPrecisions : [precision];
  if (svg !== undefined) requireReplaceable(svg);
  for (const [flag, value] of Object.entries({ batch, threads, steps, rounds })) {
    if (!Number.isInteger(value) || value < 1)
      throw new UserError('USAGE', `--${flag}: a whole number of at least 1`);
  }
  const model = parseModel(args.model);
  const backends = args.backend.split(',').map(parseBackend);
  const later = allBackends.find(({ name, synchronous }) => !synchronous && backends.includes(name));
  if (profile && later)
    throw new UserError(
      'USAGE',
      `--profile: ${later.name} computes later than its kernels are called; leave it out`,
    );
  const fastest = new Map<string, StepRow>();
  const take = (row: StepRow | undefined) => {
    const best = row && fastest.get(row.system);
    if (row && (!best || row.medianMs < best.medianMs)) fastest.set(row.system, row);
  };
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  for (let round = 0; round < rounds; round++) {
    for (const precision of precisions) {
      const task = { model, batch, steps, precision, threads };
      for (const backend of backends) {
        const environment = await devicesOf(backend).alone(threads);
        for (const capture of captures)
          take(await benchmarkStep({ ...task, backend, capture, profile, environment }));
      }
      if (peers) take(await benchmarkTorch(task, python, notify));
    }
  }
  const rows = [...fastest.values()];
  if (svg !== undefined) writeFileAtomicSync(svg, draw(rows));
  if (json) for (const row of rows) process.stdout.write(`${JSON.stringify(row)}\n`);
  else process.stdout.write(`${toTable(rows)}\n`);
}

function parseModel(name: string): Config['model'] {
  const parsed = configSchema.shape.model.safeParse({ name });
  if (parsed.success) return parsed.data;
  throw new UserError('USAGE', `--model: ${name} is none of ${modelNames.join(', ')}`);
}

function parseBackend(name: string): Config['backend'] {
  const parsed = configSchema.shape.backend.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new UserError(
    'USAGE',
    `--backend: ${name} is none of ${configSchema.shape.backend.unwrap().options.join(', ')}`,
  );
}

function toTable(rows: readonly StepRow[]): string {
  const table = new Table({
    head: [
      'system',
      'threads',
      'images/s',
      'step ms',
      'forward',
      'backward',
      'both',
      'update',
      'waiting',
      'CPU ms',
    ],
    colAligns: ['left', ...new Array<'right'>(9).fill('right')],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const { medianMs, forwardMs, backwardMs, passesMs, updateMs, waitMs, cpuMs } = row;
    const times = [medianMs, forwardMs, backwardMs, passesMs, updateMs, waitMs, cpuMs];
    table.push([
      row.system,
      row.threads,
      row.imagesPerSecond.toFixed(1),
      ...times.map((ms) => ms?.toFixed(1) ?? ''),
    ]);
  }
  const { model, batch, parameters } = present(rows[0], 'a row');
  const title = `${model}, batch ${batch}, 32x32x3, ${parameters.toLocaleString('en')} parameters; medians`;
  const profiles = rows.flatMap(({ system, kernels }) =>
    kernels ? [`${system}:\n${profileTable(kernels)}`] : [],
  );
  return [title, table.toString(), ...profiles].join('\n');
}

function profileTable(kernels: readonly KernelTime[]): string {
  const table = new Table({
    head: ['kernel', 'ms a step', 'calls'],
    colAligns: ['left', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { kernel, milliseconds, calls } of kernels.slice(0, 20)) {
    table.push([kernel, milliseconds.toFixed(2), calls.toFixed(0)]);
  }
  const sum = kernels.reduce((total, { milliseconds }) => total + milliseconds, 0);
  return `${table.toString()}\n${sum.toFixed(1)} ms a step in kernels`;
}

function draw(rows: readonly StepRow[]): string {
  const { model, batch, threads } = present(rows[0], 'a row');
  return drawBars({
    title: `Training step of ${model}, batch ${batch}, ${threads} threads`,
    unit: 'images/s',
    bars: rows.map(({ system, imagesPerSecond }) => ({ name: system, value: imagesPerSecond })),
  });
}
