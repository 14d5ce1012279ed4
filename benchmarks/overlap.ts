import { parseArgs } from 'node:util';
import { threadVariables } from '../src/backend/devices/cpu-plan.js';
import { configSchema, type Config } from '../src/config/schema.js';
import { PodDistError, UserError } from '../src/util/errors.js';
import type { TraceSpan } from '../src/trace/tracer.js';
import { BenchmarkJob } from '../src/bench/job.js';
import { queues, ShapedLink, type Queue } from '../src/bench/link.js';
import { splitSteps, type StepOverlap } from './overlap-spans.js';
import { formatSize, parseSize } from '../src/bench/sizes.js';
import { median } from '../src/bench/statistics.js';
import { lastCollective } from '../src/bench/tasks/training.js';

/**
 * Measures how much of the communication real training steps hide, for sizes of buckets and for lengths up to which a
 * blocking sum overtakes them: workers of one thread each, over ipc or behind a shaped link (Linux, root):
 * node dist/benchmarks/overlap.js [--model resnet20] [--batch 64] [--workers 2] [--link 100mbit] [--queue fifo]
 * [--buckets default,256KB,1GB] [--urgent 4B,64KiB] [--steps 15] [--rounds 2] [--backend native] [--statistics local].
 */
const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'resnet20' },
    batch: { type: 'string', default: '64' },
    workers: { type: 'string', default: '2' },
    link: { type: 'string' },
    queue: { type: 'string', default: 'pfifo_fast' },
    urgent: { type: 'string', default: '64KiB' },
    buckets: { type: 'string', default: 'default,256KB,1GB' },
    steps: { type: 'string', default: '15' },
    rounds: { type: 'string', default: '2' },
    backend: { type: 'string', default: 'native' },
    statistics: { type: 'string', default: 'synchronised' },
  },
});
const warmup = 3;
const traceWithinMs = 10_000;
const workers = Number(values.workers);
const steps = Number(values.steps);
const model = configSchema.shape.model.parse({ name: values.model });
const batchNorm = configSchema.shape.batchNorm.parse({ statistics: values.statistics });

interface Setting {
  /** Bytes of a bucket; default: those of the recipe. */
  bucketBytes?: number;
  urgentBytes: number;
}

interface Measured extends Setting {
  imagesPerSecond: number[];
  steps: StepOverlap[];
}

const link =
  values.link === undefined ? undefined : ShapedLink.create(workers, values.link, parseQueue(values.queue));
try {
  const measured = values.buckets.split(',').flatMap((bucket) =>
    values.urgent.split(',').map((urgent): Measured => {
      const setting = {
        bucketBytes: bucket === 'default' ? undefined : parseSize(bucket),
        urgentBytes: parseSize(urgent),
      };
      return { ...setting, imagesPerSecond: [], steps: [] };
    }),
  );
  for (let round = 0; round < Number(values.rounds); round++)
    for (const row of measured) {
      const result = await measure(row);
      row.imagesPerSecond.push(result.imagesPerSecond);
      row.steps = row.steps.concat(result.steps);
    }
  print(measured);
} finally {
  link?.close();
}

/** The steps of every rank of one job, after the warm-up. */
async function measure({
  bucketBytes,
  urgentBytes,
}: Setting): Promise<{ imagesPerSecond: number; steps: StepOverlap[] }> {
  const ranks = Array.from({ length: workers }, (): TraceSpan[] => []);
  const job = await BenchmarkJob.start({
    workers,
    transport: link ? 'tcp' : 'ipc',
    link,
    settings: { urgentBytes },
    environment: threadVariables(1, {}),
    onTrace: ({ rank, spans }) => void (ranks[rank] = ranks[rank].concat(spans)),
  });
  try {
    const backend = values.backend as Config['backend'];
    const batch = Number(values.batch);
    const { statistics } = batchNorm;
    const task = { name: 'training', backend, model, batch, bucketBytes, statistics, warmup, steps } as const;
    const [{ imagesPerSecond }] = await job.run(task);
    await complete(ranks);
    return { imagesPerSecond, steps: splitSteps(ranks).flatMap((own) => own.slice(warmup)) };
  } finally {
    await job.stop();
  }
}

/** Waits until all spans of all ranks have come. */
async function complete(ranks: readonly (readonly TraceSpan[])[]): Promise<void> {
  const isWhole = (spans: readonly TraceSpan[]) =>
    spans.some(({ name }) => name === `barrier ${lastCollective}`) &&
    spans.filter(({ name }) => name === 'step').length === warmup + steps;
  for (const until = performance.now() + traceWithinMs; !ranks.every(isWhole);) {
    if (performance.now() > until)
      throw new PodDistError('BENCHMARK_FAILED', `no whole trace within ${traceWithinMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function print(measured: readonly Measured[]): void {
  const place = link ? `tcp behind ${values.link} (${values.queue})` : 'ipc';
  process.stdout.write(
    `${values.model}, ${values.batch} images a worker, ${workers} workers, ${values.backend}, ${values.statistics} batch norm, ${place}; ms, medians\n`,
  );
  const names = [
    'step',
    'compute',
    'reduceScatter',
    'allGather',
    'small',
    'exposed',
    'queued',
    'late',
  ] as const;
  process.stdout.write(`| bucket | urgent | images/s | ${names.join(' | ')} | exposed share |\n`);
  process.stdout.write(`|${'---|'.repeat(names.length + 4)}\n`);
  for (const { bucketBytes, urgentBytes, imagesPerSecond, steps: all } of measured) {
    const share = median(all.map((step) => step.exposed / (step.reduceScatter + step.allGather)));
    const cells = [
      bucketBytes === undefined ? 'default' : formatSize(bucketBytes),
      formatSize(urgentBytes),
      median(imagesPerSecond).toFixed(0),
      ...names.map((name) => median(all.map((step) => step[name])).toFixed(1)),
      `${(100 * share).toFixed(0)} %`,
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}

/** @throws UserError `USAGE` for what is none of `queues` */
function parseQueue(text: string): Queue {
  const queue = queues.find((name) => name === text);
  if (queue) return queue;
  throw new UserError('USAGE', `--queue ${text}: give ${queues.join(' or ')}`);
}
