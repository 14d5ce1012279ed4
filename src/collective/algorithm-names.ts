/** Algorithms that `distributed.algorithm` may name: those of which another could do the same. */
export const algorithmNames = ['one-shot', 'two-shot', 'ring', 'hierarchical', 'halving-doubling'] as const;

export type AlgorithmName = (typeof algorithmNames)[number];
