import type { z } from 'zod';
import type { Config } from '../schema.js';

/** Settings with which a step's bits depend on the number of workers; each with what it may be instead. */
const obstacles: readonly [path: string, isSet: (config: Config) => boolean, advice: string][] = [
  ['batchNorm.statistics', ({ batchNorm }) => batchNorm.statistics === 'local', 'choose synchronised'],
  ['loss.sc', ({ loss }) => loss.name === 'pod' && loss.sc === 'local', 'choose global or off'],
  ['learningRate.scaleWithWorkers', ({ learningRate }) => learningRate.scaleWithWorkers, 'leave it false'],
  ['distributed.wire', ({ distributed }) => distributed.wire === 'bf16', 'choose float32'],
];

/** Refuses what cannot be together with `distributed.bitwise`. */
export function checkBitwise(config: Config, context: z.core.$RefinementCtx): void {
  if (config.distributed.bitwise === undefined) return;
  const obstacle = obstacles.find(([, isSet]) => isSet(config));
  if (!obstacle) return;
  const [path, , advice] = obstacle;
  context.addIssue({
    code: 'custom',
    path: path.split('.'),
    message: `depends on the number of workers, which distributed.bitwise rules out: ${advice}`,
  });
}
