import type { BackendName } from '../../src/backend/backends.js';
import { initBackend } from '../../src/backend/index.js';
import { measureProduct } from '../../src/backend/measure-product.js';
import { configSchema } from '../../src/config/schema.js';
import { reportOf, type ErrorReport } from '../../src/util/errors.js';
import { measureStep, type StepMeasurement } from '../../src/bench/measure-step.js';

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
  tell({ kind: 'result', device, gpu, faster, gflops, step });
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
