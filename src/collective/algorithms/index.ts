import type { Algorithm } from './algorithm.js';
import { barrier } from './barrier.js';
import { chain } from './chain.js';
import { compressedRing } from './compressed-ring.js';
import { halvingDoubling } from './halving-doubling.js';
import { hierarchical } from './hierarchical.js';
import { neighbour } from './neighbour.js';
import { oneShot } from './one-shot.js';
import { ring } from './ring.js';
import { sharedMemory } from './shared-memory.js';
import { twoShot } from './two-shot.js';

/** Every algorithm; channels name one by its place here. */
export const algorithms: readonly Algorithm[] = [
  oneShot,
  twoShot,
  ring,
  compressedRing,
  hierarchical,
  chain,
  barrier,
  neighbour,
  halvingDoubling,
  sharedMemory,
];
