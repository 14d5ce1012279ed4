import fc from 'fast-check';
import { Packr } from 'msgpackr';
import {
  coordinatorMessage,
  decode,
  protocolVersion,
  workerMessage,
  type CoordinatorMessage,
  type WorkerMessage,
} from '../../../src/job/control/protocol.js';
import { Broken, type Target } from '../judge.js';
import { anyJson, disturbed, mutated, treacherousKeys } from '../mutations.js';

const totals = {
  total: 4,
  correct: 3,
  classTotal: [2, 2],
  classCorrect: [2, 1],
  confusion: [2, 0, 0, 1, 1, 0],
  cosineSum: 3.5,
};
const times = { images: 100, seconds: 1.5, loaderSeconds: 0.1, exposedSeconds: 0.2 };

/** One message of each type that a worker sends. */
export const workerMessages: WorkerMessage[] = [
  {
    type: 'hello',
    version: protocolVersion,
    rank: 1,
    worldSize: 2,
    host: 'h',
    machine: 'm',
    pid: 3,
    digest: 'd',
    reached: '10.0.0.1',
  },
  { type: 'endpoints', endpoints: { '0': 'tcp://127.0.0.1:5000' } },
  { type: 'connected' },
  { type: 'agree', name: 'weights', value: 'abc' },
  { type: 'gather', name: 'epoch', part: { epoch: 1, trainLoss: 0.5, seconds: 2, totals, times } },
  {
    type: 'record',
    news: { kind: 'step', epoch: 1, step: 2, loss: 0.25, lr: 0.1, delta: 0.1, samplesPerSecond: 9 },
  },
  { type: 'record', news: { kind: 'evaluated', images: 64 } },
  { type: 'clock', sent: 17.5 },
  {
    type: 'trace',
    spans: [{ name: 'step', thread: 'compute', start: 1, end: 2, details: { epoch: 1 } }],
    clock: { offset: 1, error: 2 },
  },
  {
    type: 'beat',
    progress: 9,
    waiting: true,
    phase: 'train',
    collectives: [{ begun: 7, name: "allReduce 'gradients'", forMs: 1.5 }],
  },
  { type: 'lost', peer: 0 },
  { type: 'failed', code: 'EXITED', message: 'why', user: false },
  { type: 'finished' },
];

const coordinatorMessages: CoordinatorMessage[] = [
  { type: 'refused', code: 'JOIN_REFUSED', message: 'why' },
  {
    ...{ type: 'plan', jobId: 'job', hosts: ['a', 'b'], reached: ['10.0.0.1'], transport: 'tcp' },
    ...{ generation: 1, rank: 0, worldSize: 2, secret: 'key' },
    start: { at: 3, generation: 0, root: 1, holders: [1, 1] },
  },
  { type: 'table', table: { '0': { '1': 'tcp://127.0.0.1:5000' } } },
  { type: 'go' },
  { type: 'agreed', name: 'weights' },
  { type: 'gathered', name: 'epoch', result: { record: [1] } },
  { type: 'pulse', records: 3 },
  { type: 'clock', sent: 1, answered: 2 },
  { type: 'abort', message: 'x' },
  { type: 'ended' },
];

const packr = new Packr({ useRecords: false });
export const pack = (value: unknown): Buffer => packr.pack(value);

/** Messages of one side, changed as bytes and as values, and any other MessagePack value. */
export function hostile(messages: readonly unknown[]): fc.Arbitrary<Buffer> {
  return fc.oneof(
    mutated(messages.map(pack)),
    disturbed(messages).map(pack),
    anyJson().map(pack),
    fc
      .tuple(fc.constantFrom(...messages), fc.constantFrom(...treacherousKeys), anyJson())
      .map(([message, key, value]) =>
        pack(Object.fromEntries([...Object.entries(message as object), [key, value]])),
      ),
  );
}

function read(frame: Buffer): void {
  const schemas = [workerMessage, coordinatorMessage];
  const refused: unknown[] = [];
  for (const schema of schemas) {
    try {
      const message = decode<WorkerMessage | CoordinatorMessage>(schema, frame);
      if (!schema.safeParse(message).success) throw new Broken('a message that its own schema refuses');
    } catch (error) {
      if (error instanceof Broken) throw error;
      refused.push(error);
    }
  }
  if (refused.length === schemas.length) throw refused[0];
}

/** A control message of either side, as received. */
export const control: Target<Buffer> = {
  name: 'control',
  codes: ['PROTOCOL_ERROR'],
  inputs: hostile([...workerMessages, ...coordinatorMessages]),
  read,
};
