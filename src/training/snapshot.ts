import { z } from 'zod';
import type { Classifier } from '../classifier/classifier.js';
import { shardRange, type Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import { shardOf, type Range } from '../parallel/buckets.js';
import { cutOf } from '../parallel/virtual-workers.js';
import { stateNames } from '../optim/index.js';
import type { ShardedOptimiser } from '../parallel/sharded-optimiser.js';
import type { OptimiserState } from '../parallel/sharded-state.js';
import type { Loss } from '../losses/index.js';
import { PodDistError } from '../util/errors.js';
import { largest } from '../util/extremes.js';
import type { Pieces } from './pieces.js';
import { broadcastValue } from './broadcast-value.js';
import { momentOf } from './recovery-point.js';
import { trainingStateSchema, type TrainingState } from './state.js';
import { present } from '../util/present.js';

/** The parts of a training that a snapshot is taken of, and that go on from one. */
export interface Trained {
  classifier: Classifier;
  loss: Loss;
  optimiser: ShardedOptimiser;
  communicator: Communicator;
  config: Config;
}

/**
 * How what one rank alone has is laid out in its piece, by float32: its shards of the optimiser's state, one after another;
 * its sums of the epoch, float64; its moving statistics, where each rank has its own.
 */
export interface PieceLayout {
  worldSize: number;
  buckets: readonly Range[];
  /** Arrays that pieces hold shards of. */
  names: readonly (keyof OptimiserState)[];
  sums: number;
  moving: number;
}

/** Room for so many sums, which a loss keeps or not. */
const leastSums = 64;

/** State that is equal on all ranks after a step, besides weights and moving statistics. */
interface Common {
  state: TrainingState;
  updates: number;
  lossValues: readonly number[];
  layout: PieceLayout;
}

const whole = z.int().min(0);

const commonSchema: z.ZodType<Common> = z.object({
  state: trainingStateSchema,
  updates: whole,
  lossValues: z.array(z.number()),
  layout: z.object({
    worldSize: z.int().min(1),
    buckets: z.array(z.object({ start: whole, end: whole })),
    names: z.array(z.enum([...stateNames, 'residual'])),
    sums: whole,
    moving: whole,
  }),
});

/** A rank's copy of a training after a step. */
export interface Snapshot {
  /** The order of snapshots of a run (`momentOf`). */
  at: number;
  /** Generation of the group that it was taken in, and this rank's number there. */
  generation: number;
  rank: number;
  common: Common;
  weights: Float32Array;
  /** Moving statistics; empty where each rank has its own. */
  moving: Float32Array;
  /** Where the pieces of this rank and of the one before it are. */
  pieces: Pieces;
}

/** Layout of the pieces of a training's ranks; `sums` is what a loss keeps at most. */
export function pieceLayout({ classifier, optimiser, communicator, config }: Trained): PieceLayout {
  const { worldSize } = communicator;
  const local = config.batchNorm.statistics === 'local';
  return {
    worldSize,
    buckets: optimiser.buckets.map(({ start, end }) => ({ start, end })),
    names: optimiser.state.names,
    sums: Math.max(leastSums, cutOf(config, communicator).virtualWorkers / worldSize),
    moving: local ? classifier.batchNorm.flatten().length : 0,
  };
}

/** Numbers of the longest piece. */
export function longestPiece(layout: PieceLayout): number {
  return largest(Array.from({ length: layout.worldSize }, (_, rank) => lengthsOf(layout, rank).whole));
}

interface TakeOptions {
  generation: number;
  stepsPerEpoch: number;
  layout: PieceLayout;
  pieces: Pieces;
  /** A snapshot that is needed no more: its memory is used again. */
  former?: Snapshot;
}

/**
 * Copies the training of all ranks as it is after a step, in memory outside the arena: the weights, 4 P bytes, and this
 * rank's piece of what no other rank has, of which the next rank gets a copy (`pieces.ts`).
 */
export async function takeSnapshot(
  trained: Trained,
  state: TrainingState,
  { generation, stepsPerEpoch, layout, pieces, former }: TakeOptions,
): Promise<Snapshot> {
  const { classifier, loss, optimiser, communicator } = trained;
  await optimiser.settle();
  const moving = classifier.batchNorm.flatten();
  const at = momentOf(state, stepsPerEpoch);
  const own = layout.moving > 0 ? [moving] : [];
  const sums = Float64Array.from(loss.state?.sums ?? []);
  await pieces.put(at, [...optimiser.state.shards, sums, ...own]);
  const { length } = classifier.weights;
  const weights = former?.weights.length === length ? former.weights : new Float32Array(length);
  weights.set(classifier.weights);
  const lossValues = [...(loss.state?.values ?? [])];
  const common: Common = {
    state: structuredClone(state),
    updates: optimiser.state.updates,
    lossValues,
    layout: { ...layout, sums: sums.length },
  };
  const { rank } = communicator;
  return {
    at,
    generation,
    rank,
    common,
    weights,
    moving: own.length > 0 ? new Float32Array(0) : moving,
    pieces,
  };
}

/** Where the parts of a snapshot are, by the ranks of the group that goes on from it. */
export interface Sources {
  /** The rank that has the weights. */
  root: number;
  /** The rank that has the piece of each rank of the group before. */
  holders: readonly number[];
}

/**
 * Starts every rank from a snapshot that some of them have, whatever the number of ranks now and then. Weights and pieces
 * are broadcast by those that have them: 4 (k + 1) P bytes to each rank. A rank that has the weights itself compares them.
 *
 * @throws PodDistError `SILENT_CORRUPTION` where they differ
 */
export async function restoreSnapshot(
  trained: Trained,
  snapshot: Snapshot | undefined,
  { root, holders }: Sources,
): Promise<TrainingState> {
  const { classifier, loss, optimiser, communicator } = trained;
  const { rank } = communicator;
  const given = rank === root ? snapshot : undefined;
  const common = await broadcastValue(commonSchema, given?.common, root, communicator);
  const { layout } = common;
  const moving = classifier.batchNorm.flatten();
  if (given) {
    classifier.weights.set(given.weights);
    if (given.moving.length > 0) moving.set(given.moving);
  }
  await communicator.broadcast(classifier.weights, root, { tag: 'weights' });
  await communicator.broadcast(moving, root, { tag: 'moving-statistics' });
  if (snapshot) requireEqual(snapshot.weights, classifier.weights);
  const pieces: Piece[] = [];
  for (const [old, holder] of holders.entries()) {
    const { whole } = lengthsOf(layout, old);
    const held = rank === holder && snapshot;
    const values = held ? pieceOf(held, old, whole) : new Float32Array(whole);
    await communicator.broadcast(values, holder, { tag: `snapshot/${old}` });
    pieces.push(unpack(values, layout, old));
  }
  optimiser.state.adopt(assemble(pieces, layout, classifier.weights.length), common.updates);
  classifier.loadWeights();
  const own = present(pieces[rank % layout.worldSize], 'a piece');
  classifier.batchNorm.restore(layout.moving > 0 ? own.moving : moving);
  if (loss.state) {
    loss.state.values = [...common.lossValues];
    loss.state.sums = sumsOf(pieces, trained);
  }
  return structuredClone(common.state);
}

/** The piece of rank `old` that a snapshot holds. */
function pieceOf({ at, rank, pieces }: Snapshot, old: number, length: number): Float32Array {
  return pieces.get(at, old === rank ? 'own' : 'before', length);
}

function requireEqual(own: Float32Array, given: Float32Array): void {
  const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  if (own.length === given.length && bytes(own).equals(bytes(given))) return;
  throw new PodDistError(
    'SILENT_CORRUPTION',
    'the weights that two ranks have kept of one snapshot differ: a processor or memory is at fault; --resume goes on from a checkpoint',
  );
}

/** The parts of a piece. */
interface Piece {
  shards: Float32Array;
  sums: Float64Array;
  moving: Float32Array;
}

/** The state of all shards. */
function assemble(
  pieces: readonly Piece[],
  { names, buckets, worldSize }: PieceLayout,
  length: number,
): OptimiserState {
  const state: OptimiserState = {};
  names.forEach((name, index) => {
    const whole = new Float32Array(length);
    pieces.forEach(({ shards }, rank) => {
      let offset = (index * shards.length) / names.length;
      for (const bucket of buckets) {
        const { start, end } = shardOf(bucket, { rank, worldSize });
        whole.set(shards.subarray(offset, offset + end - start), start);
        offset += end - start;
      }
    });
    state[name] = whole;
  });
  return state;
}

/**
 * This rank's sums out of those of all virtual workers. Where these are as many as the ranks, and the ranks are others in
 * number, the first has the sum of all, and the others have 0.
 */
export function sumsOf(
  pieces: readonly Pick<Piece, 'sums'>[],
  { communicator, config }: Pick<Trained, 'communicator' | 'config'>,
): number[] {
  const { rank, worldSize } = communicator;
  if (worldSize === pieces.length) return [...present(pieces[rank], 'a piece').sums];
  const all = pieces.flatMap(({ sums }) => [...sums]);
  if (config.distributed.bitwise !== undefined) return all.slice(...shardRange(all.length, rank, worldSize));
  if (all.length === 0) return [];
  return [rank === 0 ? all.reduce((sum, one) => sum + one, 0) : 0];
}

function unpack(packed: Float32Array, layout: PieceLayout, rank: number): Piece {
  const { shards, sums, whole } = lengthsOf(layout, rank);
  return {
    shards: packed.slice(0, shards),
    sums: new Float64Array(packed.slice(shards, shards + sums).buffer),
    moving: packed.slice(shards + sums, whole),
  };
}

/** Numbers of the parts of a rank's piece, and of all of it. */
function lengthsOf({ buckets, names, worldSize, sums, moving }: PieceLayout, rank: number) {
  const lengths = buckets.map((bucket) => {
    const { start, end } = shardOf(bucket, { rank, worldSize });
    return end - start;
  });
  const shards = names.length * lengths.reduce((sum, length) => sum + length, 0);
  return { shards, sums: 2 * sums, whole: shards + 2 * sums + moving };
}
