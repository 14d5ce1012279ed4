import type { z } from 'zod';
import { algorithms } from '../collective/algorithms/index.js';
import { algorithmNames } from '../collective/algorithm-names.js';
import { lossOf, type LossConfig } from '../losses/index.js';

/** The settings that are checked. */
interface Settings {
  batchNorm: { statistics: string };
  learningRate: { scaleWithWorkers: boolean };
  distributed: { wire: string; algorithm: string; bitwise?: number };
  loss: LossConfig;
}

type Obstacle = readonly [path: string, isSet: (settings: Settings) => boolean, advice: string];

/** Settings with which a step's bits depend on the number of workers; each with what it may be instead. */
const obstacles: readonly Obstacle[] = [
  ['batchNorm.statistics', ({ batchNorm }) => batchNorm.statistics === 'local', 'choose synchronised'],
  ['learningRate.scaleWithWorkers', ({ learningRate }) => learningRate.scaleWithWorkers, 'leave it false'],
  [
    'distributed.algorithm',
    ({ distributed }) => addsInPairs(distributed.algorithm) === false,
    `choose ${new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(['auto', ...algorithmNames.filter(addsInPairs)])}`,
  ],
  ['distributed.wire', ({ distributed }) => distributed.wire === 'bf16', 'choose float32'],
];

/** Whether an algorithm adds in pairs of ranks; undefined for `auto`. */
function addsInPairs(algorithm: string): boolean | undefined {
  const found = algorithms.find(({ name }) => name === algorithm);
  return found && found.summation === 'pairs';
}

/** Refuses what cannot be together with `distributed.bitwise`. */
export function checkBitwise(config: Settings, context: z.core.$RefinementCtx): void {
  if (config.distributed.bitwise === undefined) return;
  const obstacle = obstacles.find(([, isSet]) => isSet(config)) ?? lossObstacle(config);
  if (!obstacle) return;
  const [path, , advice] = obstacle;
  context.addIssue({
    code: 'custom',
    path: path.split('.'),
    message: `depends on the number of workers, which distributed.bitwise rules out: ${advice}`,
  });
}

function lossObstacle({ loss }: Settings): Obstacle | undefined {
  const matter = lossOf(loss).workersMatter?.(loss);
  return matter && [`loss.${matter.setting}`, () => true, matter.advice];
}
