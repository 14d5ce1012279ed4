import type { Classifier } from '../classifier/classifier.js';
import { shardRange, type Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import { shardOf, type Range } from '../parallel/buckets.js';
import type { ShardedOptimiser } from '../parallel/sharded-optimiser.js';
import type { OptimiserState } from '../parallel/sharded-state.js';
import type { Loss } from '../losses/index.js';
import { largest } from '../util/extremes.js';
import type { TrainingState } from './state.js';

/** The parts of a training that a snapshot is taken of, and that go on from one. */
export interface Trained {
  classifier: Classifier;
  loss: Loss;
  optimiser: ShardedOptimiser;
  communicator: Communicator;
  config: Config;
}

/** What one rank alone holds: its shards of the optimiser's state, one after another, and its sums of the epoch. */
export interface Piece {
  shards: Float32Array;
  sums: Float64Array;
  /** Moving statistics, where each rank has its own. */
  moving: Float32Array;
}

/** What is equal on all ranks after a step, besides weights and moving statistics. */
interface Common {
  state: TrainingState;
  updates: number;
  lossValues: readonly number[];
  worldSize: number;
  buckets: readonly Range[];
  /** Arrays that pieces hold shards of. */
  names: readonly (keyof OptimiserState)[];
  /** Sums and own moving statistics in each piece. */
  sums: number;
  moving: number;
}

/** A rank's copy of a training after a step. */
export interface Snapshot {
  /** The order of snapshots of a run: twice the steps so far, and 1 more where nothing is left to evaluate. */
  at: number;
  /** Generation of the group that it was taken in, and this rank's number there. */
  generation: number;
  rank: number;
  common: Common;
  weights: Float32Array;
  /** Moving statistics; empty where each rank has its own. */
  moving: Float32Array;
  own: Piece;
  /** The piece of the rank before this one. */
  neighbour: Piece;
}

/**
 * Copies the training of all ranks as it is after a step, in memory outside the arena. Each rank also gets the piece of the
 * rank before it, so that no single loss of a rank loses anything: 4 (k + 1) P + 8 k P / N bytes a rank for k arrays of
 * optimiser state and P weights; k P / N numbers travel to a neighbour.
 */
export async function takeSnapshot(
  trained: Trained,
  state: TrainingState,
  { generation, stepsPerEpoch }: { generation: number; stepsPerEpoch: number },
): Promise<Snapshot> {
  const { classifier, loss, optimiser, communicator, config } = trained;
  const { rank, worldSize } = communicator;
  await optimiser.settle();
  const local = config.batchNorm.statistics === 'local';
  const moving = classifier.batchNorm.flatten();
  const own: Piece = {
    shards: optimiser.copyShards(),
    sums: Float64Array.from(loss.state?.sums ?? []),
    moving: local ? moving : new Float32Array(0),
  };
  const common: Common = {
    state: structuredClone(state),
    updates: optimiser.updates,
    lossValues: [...(loss.state?.values ?? [])],
    worldSize,
    buckets: optimiser.buckets.map(({ start, end }) => ({ start, end })),
    names: optimiser.shardedNames,
    sums: own.sums.length,
    moving: own.moving.length,
  };
  const neighbour = await exchange(own, common, communicator);
  const steps = state.epochs * stepsPerEpoch + state.steps;
  return {
    at: 2 * steps + (state.unevaluated ? 0 : 1),
    generation,
    rank,
    common,
    weights: classifier.weights.slice(),
    moving: local ? new Float32Array(0) : moving,
    own,
    neighbour,
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
 * are broadcast by those that have them: 4 (k + 1) P bytes to each rank.
 */
export async function restoreSnapshot(
  trained: Trained,
  snapshot: Snapshot | undefined,
  { root, holders }: Sources,
): Promise<TrainingState> {
  const { classifier, loss, optimiser, communicator } = trained;
  const { rank } = communicator;
  const given = rank === root ? snapshot : undefined;
  const common = await broadcastValue(given?.common, root, communicator);
  const moving = classifier.batchNorm.flatten();
  if (given) {
    classifier.weights.set(given.weights);
    if (given.moving.length > 0) moving.set(given.moving);
  }
  await communicator.broadcast(classifier.weights, root, { tag: 'weights' });
  await communicator.broadcast(moving, root, { tag: 'moving-statistics' });
  const pieces: Piece[] = [];
  for (const [old, holder] of holders.entries()) {
    const piece = rank === holder && snapshot ? pieceOf(snapshot, old) : undefined;
    pieces.push(await broadcastPiece(piece, { old, holder, common, communicator }));
  }
  optimiser.adoptState(assemble(pieces, common, classifier.weights.length), common.updates);
  classifier.loadWeights();
  classifier.batchNorm.restore(common.moving > 0 ? pieces[rank % common.worldSize].moving : moving);
  if (loss.state) {
    loss.state.values = [...common.lossValues];
    loss.state.sums = sumsOf(pieces, trained);
  }
  return structuredClone(common.state);
}

/** The piece of rank `old` that a snapshot holds. */
function pieceOf({ rank, own, neighbour, common }: Snapshot, old: number): Piece | undefined {
  if (old === rank) return own;
  return old === previous(rank, common.worldSize) ? neighbour : undefined;
}

function previous(rank: number, worldSize: number): number {
  return (rank + worldSize - 1) % worldSize;
}

/** Gives the next rank this one's piece; returns the previous one's. */
async function exchange(own: Piece, common: Common, communicator: Communicator): Promise<Piece> {
  const { rank, worldSize } = communicator;
  const packed = pack(own);
  const lengths = Array.from({ length: worldSize }, (_, other) => packedLength(common, other));
  const longest = largest(lengths);
  const values = new Float32Array(2 * longest);
  values.set(packed);
  await communicator.shift(values, { tag: 'snapshot' });
  return unpack(values.subarray(longest), common, previous(rank, worldSize));
}

async function broadcastPiece(
  piece: Piece | undefined,
  about: { old: number; holder: number; common: Common; communicator: Communicator },
): Promise<Piece> {
  const { old, holder, common, communicator } = about;
  const values = piece ? pack(piece) : new Float32Array(packedLength(common, old));
  await communicator.broadcast(values, holder, { tag: `snapshot/${old}` });
  return unpack(values, common, old);
}

/** The state of all shards. */
function assemble(pieces: readonly Piece[], common: Common, length: number): OptimiserState {
  const { names, buckets, worldSize } = common;
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
  if (worldSize === pieces.length) return [...pieces[rank].sums];
  const all = pieces.flatMap(({ sums }) => [...sums]);
  if (config.distributed.bitwise !== undefined) return all.slice(...shardRange(all.length, rank, worldSize));
  if (all.length === 0) return [];
  return [rank === 0 ? all.reduce((sum, one) => sum + one, 0) : 0];
}

/** One array with the bits of all parts of a piece. */
function pack({ shards, sums, moving }: Piece): Float32Array {
  const packed = new Float32Array(shards.length + 2 * sums.length + moving.length);
  packed.set(shards);
  packed.set(new Float32Array(sums.buffer, sums.byteOffset, 2 * sums.length), shards.length);
  packed.set(moving, shards.length + 2 * sums.length);
  return packed;
}

function unpack(packed: Float32Array, common: Common, rank: number): Piece {
  const shards = shardsLength(common, rank);
  const sums = shards + 2 * common.sums;
  return {
    shards: packed.slice(0, shards),
    sums: new Float64Array(packed.slice(shards, sums).buffer),
    moving: packed.slice(sums, sums + common.moving),
  };
}

function packedLength(common: Common, rank: number): number {
  return shardsLength(common, rank) + 2 * common.sums + common.moving;
}

function shardsLength({ buckets, names, worldSize }: Common, rank: number): number {
  const lengths = buckets.map((bucket) => {
    const { start, end } = shardOf(bucket, { rank, worldSize });
    return end - start;
  });
  return names.length * lengths.reduce((sum, length) => sum + length, 0);
}

/** Sends a value of plain data from `root` to every rank. */
export async function broadcastValue<T>(
  value: T | undefined,
  root: number,
  communicator: Communicator,
): Promise<T> {
  const bytes = value === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(value));
  const length = Float64Array.of(bytes.length);
  await communicator.broadcast(length, root, { tag: 'snapshot/length' });
  const numbers = new Float64Array(Math.ceil(length[0] / 8));
  const room = Buffer.from(numbers.buffer);
  room.set(bytes);
  await communicator.broadcast(numbers, root, { tag: 'snapshot/state' });
  return JSON.parse(room.subarray(0, length[0]).toString()) as T;
}
