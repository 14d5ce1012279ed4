import type { TrainingState } from './state.js';

/** A snapshot that a rank has, with the piece of its own number there. */
export interface Held {
  /** The order of snapshots of a run (`momentOf`). */
  at: number;
  /** Generation of the group that it was taken in, and the rank's number and the number of ranks there. */
  generation: number;
  rank: number;
  worldSize: number;
  /** Whether it has a copy of the piece of the rank before, too. */
  copy: boolean;
}

/** Where a group starts from: a snapshot that some of its ranks have. */
export interface Start {
  at: number;
  generation: number;
  /** The rank that has the weights. */
  root: number;
  /** The rank that has the piece of each rank of the group in which it was taken. */
  holders: number[];
}

/** After so many steps a run is in each of these states: within its epoch, at the end of it, after the evaluation. */
const momentsOfStep = 3;

/** Position of a state in the order of a run's states; each has its own. */
export function momentOf({ epochs, steps, unevaluated }: TrainingState, stepsPerEpoch: number): number {
  const moment = steps > 0 ? 0 : unevaluated ? 1 : 2;
  return momentsOfStep * (epochs * stepsPerEpoch + steps) + moment;
}

/** Steps that had been made when a snapshot was taken. */
export function stepsOf({ at }: { at: number }): number {
  return Math.floor(at / momentsOfStep);
}

/** A snapshot, and the ranks of the new group that have the piece of each rank of the old one. */
interface Known {
  one: Held;
  owners: Map<number, number>;
  copies: Map<number, number>;
}

/**
 * The newest snapshot of which the ranks have every piece, the owner's or its neighbour's copy; undefined where there is
 * none. `held` has the snapshots of each rank of the new group, by rank.
 */
export function recoveryPoint(held: readonly (readonly Held[])[]): Start | undefined {
  const known = new Map<string, Known>();
  for (const [holder, snapshots] of held.entries()) {
    for (const one of snapshots) {
      const key = `${one.at} ${one.generation}`;
      const { owners, copies } = known.get(key) ?? { owners: new Map(), copies: new Map() };
      known.set(key, { one, owners, copies });
      owners.set(one.rank, holder);
      if (one.copy) copies.set((one.rank + one.worldSize - 1) % one.worldSize, holder);
    }
  }
  const newestFirst = [...known.values()].toSorted(
    (a, b) => b.one.at - a.one.at || b.one.generation - a.one.generation,
  );
  for (const { one, owners, copies } of newestFirst) {
    const holders = Array.from({ length: one.worldSize }, (_, rank) => owners.get(rank) ?? copies.get(rank));
    if (!holders.every((holder) => holder !== undefined)) continue;
    const [root] = owners.values();
    if (root === undefined) continue;
    return { at: one.at, generation: one.generation, root, holders };
  }
  return undefined;
}
