import * as tf from '../../src/tf/index.js';
import type { BackendName } from '../../src/backend/backends.js';
import { initBackend } from '../../src/backend/index.js';
import { measureProduct } from '../../src/backend/measure-product.js';
import { inPrecision } from '../../src/backend/precision.js';
import { running } from '../../src/backend/running.js';
import { configSchema } from '../../src/config/schema.js';
import { reportOf, type ErrorReport } from '../../src/util/errors.js';
import { measureStep, type StepMeasurement } from '../../src/bench/measure-step.js';

/** The same measurements in bf16, where the backend can compute in it; or why it is not to. */
export type Bf16Speed = { gflops: number; imagesPerSecond: number } | { obstacle: string };

/** Messages from the probing process to the doctor. */
export type ProbeMessage =
  | { kind: 'stage'; stage: string }
  | {
      kind: 'result';
      device: string;
      gpu: boolean;
      faster?: string;
      gflops: number;
      step: StepMeasurement;
      bf16?: Bf16Speed;
    }
  | ({ kind: 'failed' } & ErrorReport);

/** Milliseconds of a step of one image, beyond which larger batches are left out. */
const slowMs = 50;

/** Run by the doctor in a process of its own: starts the backend named on the command line and measures it. */
async function probe(name: BackendName): Promise<void> {
  tell({ kind: 'stage', stage: 'starting' });
  const { device, gpu, faster } = await initBackend(name);
  tell({ kind: 'stage', stage: 'measuring a matrix product' });
  const gflops = await measureProduct();
  tell({ kind: 'stage', stage: 'measuring training steps' });
  const { model } = configSchema.shape;
  const smallCnn = model.parse({ name: 'small-cnn' });
  const single = await measureStep({ model: smallCnn, batch: 1, warmup: 1, steps: 2, budgetMs: 1000 });
  const step =
    single.medianMs > slowMs
      ? single
      : await measureStep({ model: smallCnn, batch: 64, steps: 10, budgetMs: 5000 });
  const bf16 = await probeBf16();
  tell({ kind: 'result', device, gpu, faster, gflops, step, bf16 });
}

async function probeBf16(): Promise<Bf16Speed | undefined> {
  const { bf16 } = running();
  if (!bf16 || bf16.obstacle !== undefined) return bf16 && { obstacle: bf16.obstacle as string };
  tell({ kind: 'stage', stage: 'measuring bf16' });
  const gflops = await measureProduct({ multiply: (a, b) => inPrecision('bf16', () => tf.matMul(a, b)) });
  const { model } = configSchema.shape;
  const about = { batch: 64, steps: 10, budgetMs: 5000, precision: 'bf16' } as const;
  const { imagesPerSecond } = await measureStep({ model: model.parse({ name: 'small-cnn' }), ...about });
  return { gflops, imagesPerSecond };
}

function tell(message: ProbeMessage): void {
  process.send?.(message);
}

try {
  await probe(process.argv[2] as BackendName);
} catch (error) {
  tell({ kind: 'failed', ...reportOf(error) });
}
process.disconnect?.();
process.exit();
