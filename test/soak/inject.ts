/**
 * Faults within a worker, at the phase that an order names. Loaded before the worker's own modules (`faulty-worker.ts`), it
 * wraps methods of theirs: the program itself knows nothing of it.
 *
 * An order is a file `<phase>.<action>` in the folder of `POD_DIST_ORDERS`. The first worker that comes to the phase
 * removes it, and does what it says to itself.
 */
import { readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import { CheckpointWriter } from '../../src/checkpoint/writer.js';
import { SharedCommunicator } from '../../src/collective/shared-communicator.js';
import { Membership } from '../../src/job/member/membership.js';
import { ShardedOptimiser } from '../../src/parallel/sharded-optimiser.js';
import { Snapshots } from '../../src/training/snapshots.js';
import { TrainingStep } from '../../src/training/step.js';
import { PodDistError } from '../../src/util/errors.js';

export const phases = [
  'start',
  'forward',
  'collective',
  'update',
  'snapshot',
  'checkpoint',
  'evaluation',
  'recovery',
] as const;
export const actions = ['kill', 'stop', 'throw', 'delay'] as const;
/** A collective fails with PEER_LOST although no process has ended. */
export const disconnect = 'collective.disconnect';
/** A byte of the snapshot that a rank has just taken is flipped, and the rank ends. */
export const corrupt = 'kept.corrupt';
/** A bit of what a rank contributes to a collective is flipped. */
export const flip = 'collective.flip';
/** The disk takes longer for an evaluation than a rank that leaves its generation waits for it. */
export const slowDisk = 'disk.delay';

const folder = process.env.POD_DIST_ORDERS ?? '';
/** Milliseconds that a rank sleeps before each step, so that a run lasts and leaves the processor to others. */
const paceMs = Number(process.env.POD_DIST_PACE ?? 0);
const delayMs = 1500;
const diskDelayMs = 4000;

/** Carries out an order for this phase, if there is one. */
function at(phase: (typeof phases)[number], own?: Float32Array | Float64Array): void {
  for (const name of readdirSync(folder)) {
    const [wanted, action] = name.split('.');
    if (wanted !== phase || (action === 'flip' && !own)) continue;
    if (!taken(name)) continue;
    if (action === 'kill') process.kill(process.pid, 'SIGKILL');
    if (action === 'stop') process.kill(process.pid, 'SIGSTOP');
    if (action === 'delay') sleep(delayMs);
    if (action === 'disconnect') throw new PodDistError('PEER_LOST', 'a fault was ordered');
    if (action === 'throw') throw new Error('a fault was ordered');
    if (action === 'flip' && own) flipIn(own);
  }
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Changes a number, and leaves the rank's name in the folder of orders. */
function flipIn(values: ArrayBufferView): void {
  new Uint8Array(values.buffer, values.byteOffset)[0] ^= 1;
  writeFileSync(join(folder, `flipped-${process.env.RANK}`), '');
}

/** Fields of `SnapshotPieces` (`pieces.ts`) that a fault needs. */
interface Kept {
  turn: number;
  placeBytes: number;
  files?: {
    own: { read(at: number, into: Uint8Array): boolean; write(at: number, bytes: Uint8Array): void };
  };
}

/** Flips a byte of the newest snapshot of this rank, which has a checksum, and ends the rank. */
function corruptKept({ turn, placeBytes, files }: Kept): void {
  if (!files || !taken(corrupt)) return;
  const byte = new Uint8Array(1);
  const at = turn * placeBytes + 64;
  files.own.read(at, byte);
  files.own.write(
    at,
    byte.map((value) => value ^ 1),
  );
  process.kill(process.pid, 'SIGKILL');
}

/** Contribution to a sum, if it is short enough to be compared when the step is replayed. */
function compared(values: unknown, options: unknown): Float32Array | Float64Array | undefined {
  const isNumbers = values instanceof Float32Array || values instanceof Float64Array;
  const { op = 'sum' } = (options ?? {}) as { op?: string };
  return isNumbers && op === 'sum' && values.length <= 4096 ? values : undefined;
}

/** Delays the writing of an evaluation where that is ordered. */
function delayWrites(): void {
  const { run } = CheckpointWriter.prototype;
  CheckpointWriter.prototype.run = async function (task) {
    if (task.kind === 'evaluation' && taken(slowDisk)) await delay(diskDelayMs);
    return run.call(this, task) as never;
  };
}

/** Removes an order; returns whether it was there. */
function taken(order: string): boolean {
  try {
    unlinkSync(join(folder, order));
    return true;
  } catch {
    return false;
  }
}

type Method = (...given: unknown[]) => unknown;

function before(
  type: { prototype: object },
  method: string,
  run: (this: never, ...given: unknown[]) => void,
): void {
  const prototype = type.prototype as Record<string, Method>;
  const own = prototype[method];
  prototype[method] = function (this: unknown, ...given: unknown[]) {
    run.apply(this as never, given);
    return own.apply(this, given);
  };
}

if (isMainThread && paceMs > 0) before(TrainingStep, 'run', () => sleep(paceMs));
if (isMainThread && folder) {
  before(Membership, 'takePlace', () => at('start'));
  before(TrainingStep, 'run', () => at('forward'));
  for (const method of ['allReduceSync', 'reduceScatterSync', 'allGatherSync', 'allReduce', 'broadcast'])
    before(SharedCommunicator, method, (values, options) =>
      at('collective', method === 'allReduceSync' ? compared(values, options) : undefined),
    );
  before(ShardedOptimiser, 'update', () => at('update'));
  before(Snapshots, 'take', () => at('snapshot'));
  before(Snapshots, 'afterStep', function (this: { kept?: { pieces: Kept }[] }) {
    if (this.kept?.[0]) corruptKept(this.kept[0].pieces);
  });
  before(Snapshots, 'begin', (_trained, about) => {
    if ((about as { start?: object }).start) at('recovery');
  });
  before(Membership, 'lengthy', (phase) => {
    if (phase === 'save the checkpoint') at('checkpoint');
  });
  before(Membership, 'progress', (phase) => {
    if (phase === 'evaluate') at('evaluation');
  });
  delayWrites();
}
