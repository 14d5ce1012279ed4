import type { Config } from '../config/schema.js';
import type { SinkName } from '../config/log-schema.js';
import type { SinkKind } from './sink.js';

/** Every sink. What only one of them needs is loaded with it. */
export const sinks = {
  copies: async () => (await import('./copies.js')).copies,
  mlflow: async () => (await import('./mlflow/index.js')).mlflow,
  opentelemetry: async () => (await import('./opentelemetry.js')).opentelemetry,
  prometheus: async () => (await import('./prometheus/index.js')).prometheus,
  tensorboard: async () => (await import('./tensorboard/index.js')).tensorboard,
} as const satisfies Record<SinkName | 'prometheus' | 'copies', () => Promise<SinkKind>>;

/** Names of the sinks of a run. */
export function sinksOf({ log, metrics, checkpoint }: Config): (keyof typeof sinks)[] {
  return [
    ...new Set(log),
    ...(metrics === undefined ? [] : (['prometheus'] as const)),
    ...(checkpoint.copyTo === undefined ? [] : (['copies'] as const)),
  ];
}
