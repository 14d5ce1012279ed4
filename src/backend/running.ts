import * as tf from '../tf/index.js';
import { UserError } from '../util/errors.js';
import type { Backend, Fusions } from './backend.js';
import type { Precision } from './precision.js';

interface Running {
  backend: Backend;
  fusions: Fusions;
}

/** Backends that have been started, by their names in TensorFlow.js. */
const started = new Map<string, Running>();

/** Records the backend that has just been started in TensorFlow.js. */
export function enter(backend: Backend, fusions: Fusions = {}): void {
  started.set(tf.getBackend(), { backend, fusions });
}

/** Fused operations of the running backend. */
export function running(): Fusions {
  return started.get(tf.getBackend())?.fusions ?? {};
}

/** Cause of an error of the running backend, where the backend knows it; every other error is returned as it is. */
export function explainFailure(error: unknown): unknown {
  return started.get(tf.getBackend())?.backend.explain?.(error) ?? error;
}

/** Why the running backend is not to compute in a precision; undefined where it may. */
export function obstacleTo(precision: Precision): string | undefined {
  if (precision === 'float32') return undefined;
  const here = started.get(tf.getBackend());
  const { bf16 } = here?.fusions ?? {};
  return bf16 ? bf16.obstacle : `the backend ${here?.backend.name} computes in float32 alone`;
}

/**
 * Refuses a precision that the running backend cannot compute in, or is slower in.
 *
 * @throws UserError `PRECISION_UNAVAILABLE`
 */
export function requirePrecision(precision: Precision): void {
  const obstacle = obstacleTo(precision);
  if (obstacle === undefined) return;
  throw new UserError(
    'PRECISION_UNAVAILABLE',
    `precision ${precision}: ${obstacle}; give precision float32, or train where native TensorFlow runs on a processor with AMX or AVX-512 BF16`,
  );
}

/** The precision that is wanted, or float32 where the running backend is not to compute in it; then a line says so. */
export function precisionHere(wanted: Precision, onNotice: (line: string) => void): Precision {
  const obstacle = obstacleTo(wanted);
  if (obstacle === undefined) return wanted;
  onNotice(`the model was trained in ${wanted} and computes in float32 here: ${obstacle}`);
  return 'float32';
}
