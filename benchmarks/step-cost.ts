import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../src/bench/statistics.js';
import { largest, smallest } from '../src/util/extremes.js';

/**
 * Measures what a setting costs a step of the digits recipe: trains without it and with it in turns, and prints the ratio
 * of the step times of each pair.
 *
 *     node dist/benchmarks/step-cost.js --workers 2 --backend native --model '{name: resnet20, dim: 16}' \
 *       --case 'every step: elastic.enabled=true elastic.snapshotSteps=1' --case 'every 10 steps: checkpoint.every=10 steps'
 *
 * Settings of a case are separated by two spaces or a comma and a space. Steps of the first epochs and the first of each
 * epoch are left out. A run's time is the median of its steps, or their mean with `--mean`, which counts what happens only
 * in some steps.
 */
const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '2' },
    backend: { type: 'string', default: 'native' },
    model: { type: 'string' },
    batch: { type: 'string' },
    epochs: { type: 'string', default: '6' },
    skip: { type: 'string', default: '2' },
    pairs: { type: 'string', default: '5' },
    mean: { type: 'boolean', default: false },
    case: { type: 'string', multiple: true, default: [] },
  },
});
const cli = fileURLToPath(new URL('../launcher/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pod-dist-cost-'));

interface Case {
  name: string;
  settings: readonly string[];
  /** Milliseconds of a step, by run. */
  steps: number[];
}

const cases = ['without', ...values.case].map((text): Case => {
  const [name, settings = ''] = text.split(/: (.*)/);
  return { name, settings: settings.split(/, | {2,}/).filter((one) => one !== ''), steps: [] };
});

try {
  for (let pair = 0; pair < Number(values.pairs); pair++) {
    const turns = pair % 2 === 0 ? cases : cases.toReversed();
    for (const one of turns) one.steps.push(run(one.settings));
    console.log(cases.map(({ name, steps }) => `${name} ${steps[pair].toFixed(2)} ms`).join(', '));
  }
  const [base, ...others] = cases;
  console.log(`${base.name}: ${median(base.steps).toFixed(2)} ms a step`);
  for (const { name, steps } of others) {
    const ratios = steps.map((ms, pair) => ms / base.steps[pair] - 1);
    const shown = [median(ratios), smallest(ratios), largest(ratios)];
    const [middle, least, most] = shown.map((ratio) => `${(100 * ratio).toFixed(1)} %`);
    console.log(`${name}: ${median(steps).toFixed(2)} ms a step, ${middle} more (${least} to ${most})`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Milliseconds of a step, of 100 images or of as many as a batch has. */
function run(settings: readonly string[]): number {
  const out = join(folder, 'run');
  const set = [
    ...(values.model === undefined ? [] : [`model=${values.model}`]),
    ...(values.batch === undefined ? [] : [`batchSize=${values.batch}`]),
    ...settings,
  ];
  const { workers, backend, epochs, batch = '100' } = values;
  const about = ['--workers', workers, '--backend', backend, '--epochs', epochs, '--out', out];
  execFileSync(process.execPath, [cli, 'launch', ...about, ...set.flatMap((one) => ['--set', one])], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n');
  rmSync(out, { recursive: true, force: true });
  const records = lines.map((line) => JSON.parse(line) as Record<string, number | string>);
  const steps = records.filter(({ kind, epoch }) => kind === 'step' && Number(epoch) >= Number(values.skip));
  const inner = steps.filter(({ epoch }, index) => index > 0 && steps[index - 1].epoch === epoch);
  const ms = inner.map(({ samplesPerSecond }) => (1000 * Number(batch)) / Number(samplesPerSecond));
  return values.mean ? ms.reduce((sum, one) => sum + one, 0) / ms.length : median(ms);
}
