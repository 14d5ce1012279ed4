import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { readCall } from '../../../src/collective/check.js';
import { feedEvent, feedOrder, readLine } from '../../../src/launching/agent/feed-messages.js';
import { readResult, type Gathers } from '../../../src/record/reported.js';
import { totals } from '../../job/valid-parts.js';
import { Broken, type Target } from '../judge.js';
import { anyJson, disturbed, mutated } from '../mutations.js';

const saved = { name: 'epoch-0001', shards: [{ bytes: 8, sha256: '0'.repeat(64) }], sums: [0.5] };
const counted = { evalCorrect: 1, evalTotal: 1, evalAccuracy: 1 };

/** One result of each kind of gathered parts. */
export const results: { [Name in keyof Gathers]: Gathers[Name]['result'] } = {
  epoch: {
    record: {
      ...{ kind: 'epoch', epoch: 0, trainLoss: 0.5, ...counted, perClassAccuracy: [1, 0] },
      ...{ meanCosine: NaN, seconds: 2, exposedShare: 0.25 },
    },
    totals,
  },
  evaluation: null,
  finish: {
    ...{ worldSize: 2, backend: 'wasm', devices: ['CPU', 'CPU'], parameters: 9, epochs: 1, ...counted },
    ...{ samplesPerSecond: 100, exposedShare: 0.1, centroidsSha256: 'c', weightsSha256: '1'.repeat(64) },
    ...{ seconds: 3, missed: ['cannot write report.json'] },
  },
  saved: [saved, { ...saved, failed: 'no space is left' }],
};
const packr = new Packr({ useRecords: false });

interface Answer {
  name: keyof Gathers;
  result: unknown;
}

/** The coordinator's result of gathered parts, as a worker reads it. */
export const answer: Target<Answer> = {
  name: 'answer',
  codes: ['PROTOCOL_ERROR'],
  inputs: fc
    .constantFrom(...(Object.keys(results) as (keyof Gathers)[]))
    .chain((name) => fc.record({ name: fc.constant(name), result: disturbed([results[name]]) })),
  read({ name, result }) {
    const known = readResult(name, packr.unpack(packr.pack(result)));
    if (name === 'finish' && !Number.isInteger((known as Gathers['finish']['result']).worldSize))
      throw new Broken('a report without the number of workers');
  },
};

const calls = [
  {
    ...{ kind: 'allReduce', type: 'float32', op: 'sum', wire: 'float32', root: 0, length: 1024 },
    ...{ tag: 'gradients', offsets: [], site: 'step.ts:10' },
  },
  {
    ...{ kind: 'allGather', type: 'float64', op: 'max', wire: 'bf16', root: 0, length: 3 },
    ...{ tag: 'weights', offsets: [0, 1, 3], site: '' },
  },
];

/** A peer's description of its next collective, with `checkCollectives`. */
export const call: Target<Buffer> = {
  name: 'call',
  codes: ['PROTOCOL_ERROR'],
  inputs: fc.oneof(
    mutated(calls.map((one) => Buffer.from(JSON.stringify(one)))),
    fc.oneof(disturbed(calls), anyJson()).map((value) => Buffer.from(JSON.stringify(value))),
  ),
  read(payload) {
    const { kind, length, offsets } = readCall(payload, 1);
    if (typeof kind !== 'string' || ![length, ...offsets].every((number) => Number.isSafeInteger(number)))
      throw new Broken('a call without a kind or a length');
  },
};

const lines = [
  { call: 'step', args: [{ kind: 'step', step: 1 }] },
  { line: 'rank 1 is lost', incident: true },
  { resized: 3, refusal: 'no' },
  { report: { worldSize: 2 } },
  { follow: true },
  { stop: 'SIGINT' },
  { end: 'SIGUSR1' },
  { workers: 2 },
];

/** A line between the agent of an elastic run and its followers. */
export const feed: Target<string> = {
  name: 'feed',
  codes: [],
  inputs: fc.oneof(
    mutated(lines.map((line) => Buffer.from(JSON.stringify(line)))).map(String),
    fc.oneof(disturbed(lines), anyJson()).map((value) => JSON.stringify(value)),
  ),
  read(line) {
    const order = readLine(feedOrder, line);
    if (order && 'workers' in order && !(order.workers >= 1)) throw new Broken('an order for no workers');
    readLine(feedEvent, line);
  },
};
