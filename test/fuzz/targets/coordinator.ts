import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { configSchema } from '../../../src/config/schema.js';
import { Display } from '../../../src/console/display.js';
import { evaluationSchema } from '../../../src/evaluation/schema.js';
import { Coordinator } from '../../../src/job/coordinator/coordinator.js';
import { describeFailure, type JobFailure } from '../../../src/job/coordinator/failure.js';
import { protocolVersion, type WorkerMessage } from '../../../src/job/control/protocol.js';
import type { Arrival, MemberConnections } from '../../../src/job/control/server.js';
import { RunCombiner } from '../../../src/record/combine.js';
import { RunRecorder } from '../../../src/record/run-record.js';
import { TraceFile } from '../../../src/trace/trace-file.js';
import { errorCodes, type ErrorCode } from '../../../src/util/error-codes.js';
import { PodDistError } from '../../../src/util/errors.js';
import { times, totals } from '../../job/valid-parts.js';
import { Broken, type Target } from '../judge.js';
import { hostile, pack, workerMessages } from './control.js';

/** A message of one of two members; rank 1 is hostile. */
interface Said {
  rank: number;
  bytes: Buffer;
}

interface Script {
  /** State of the job when the hostile member starts. */
  from: 'nothing' | 'joined' | 'running';
  /** Messages of the hostile member. */
  said: Buffer[];
  /** For each gather, after how many of these messages the honest member sends its part, if the job runs. */
  gathersAfter: number[];
}

const image = new Uint8Array(29);
for (const at of [9, 13]) new DataView(image.buffer).setFloat32(at, 1, true);
const shared = {
  ...{
    dataset: 'd',
    classNames: ['a', 'b'],
    dim: 2,
    epochs: 1,
    mirrored: false,
    scale: 'cosine',
    correlation: null,
  },
  ...{ vectors: [[1, 0]], unknownFolder: 'strangers' },
};
const digest = 'a'.repeat(64);

const hello = (rank: number): WorkerMessage => ({
  ...{ type: 'hello', version: protocolVersion, rank, worldSize: 2, host: 'h', machine: 'm', pid: 3 },
  ...{ digest: 'd', reached: '10.0.0.1' },
});
const record = (news: unknown): WorkerMessage => ({ type: 'record', news });
const gathers: WorkerMessage[] = [
  { type: 'gather', name: 'epoch', part: { epoch: 0, trainLoss: 1, seconds: 1, totals, times } },
  {
    type: 'gather',
    name: 'evaluation',
    part: { totals, images: image, drawn: new Uint8Array(16), unknown: new Uint8Array(12), shared },
  },
  {
    type: 'gather',
    name: 'finish',
    part: {
      ...{ backend: 'wasm', device: 'cpu', parameters: 9, epochs: 1, times, seconds: 1 },
      ...{ centroidsSha256: digest, weightsSha256: digest },
    },
  },
];
const inTurn: WorkerMessage[] = [
  hello(0),
  hello(1),
  ...workerMessages,
  ...gathers,
  record({ kind: 'step', epoch: 0, step: 1, loss: 1, lr: 0.1, delta: 0.1, samplesPerSecond: 9 }),
  record({ kind: 'evaluated', images: 9 }),
];

const joining = [0, 1].map((rank): [number, WorkerMessage] => [rank, hello(rank)]);
const connecting = [0, 1].flatMap((rank): [number, WorkerMessage][] => [
  [rank, { type: 'endpoints', endpoints: {} }],
  [rank, { type: 'connected' }],
]);
const before: Record<Script['from'], [number, WorkerMessage][]> = {
  nothing: [],
  joined: joining,
  running: [
    ...joining,
    ...connecting.filter(([, { type }]) => type === 'endpoints'),
    ...connecting.filter(([, { type }]) => type === 'connected'),
  ],
};

const scripts: fc.Arbitrary<Script> = fc.record({
  from: fc.constantFrom('nothing', 'joined', 'running', 'running', 'running', 'running'),
  said: fc.array(
    fc.oneof(
      { weight: 2, arbitrary: hostile(inTurn) },
      { weight: 2, arbitrary: hostile(gathers) },
      fc.constantFrom(...inTurn).map(pack),
    ),
    { minLength: 1, maxLength: 12 },
  ),
  gathersAfter: fc.array(fc.nat(12), { maxLength: gathers.length }),
});

/** All messages to the coordinator, in order. */
function spoken({ from, said, gathersAfter }: Script): Said[] {
  const all = before[from].map(([rank, message]) => ({ rank, bytes: pack(message) }));
  const honest = from === 'running' ? gathersAfter.toSorted((a, b) => a - b) : [];
  for (let at = 0; at <= said.length; at++) {
    honest.forEach((after, index) => {
      if (Math.min(after, said.length) === at) all.push({ rank: 0, bytes: pack(gathers[index]) });
    });
    if (at < said.length) all.push({ rank: 1, bytes: said[at] });
  }
  return all;
}

/** Delivers messages to the coordinator without a network. */
class Deliveries implements MemberConnections {
  readonly port = 0;
  private readonly waiting: Arrival[] = [];
  private wake = () => {};
  private closed = false;

  deliver({ rank, bytes }: Said): void {
    this.waiting.push({ connection: `member ${rank}`, bytes });
    this.wake();
  }

  async *arrivals(): AsyncIterable<Arrival> {
    while (!this.closed) {
      for (let next = this.waiting.shift(); next; next = this.waiting.shift()) yield next;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  admit(): void {}
  post(): void {}

  close(): Promise<void> {
    this.closed = true;
    this.wake();
    return Promise.resolve();
  }
}

const config = configSchema.parse({
  data: { name: 'digits' },
  model: { name: 'small-cnn' },
  learningRate: { schedule: 'constant', rate: 0.1 },
});

function checkLine(line: string): void {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(line))
    throw new Broken(`more than a line of text: ${JSON.stringify(line)}`);
}

/** Checks that a failure blames the hostile member, or the honest one only for a lost connection between them. */
function checkBlame(failure: JobFailure, { from }: Script): PodDistError {
  checkLine(describeFailure(failure));
  const { code, rank } = failure;
  if (rank === undefined && !['RANKS_DISAGREE', 'JOIN_REFUSED'].includes(code))
    throw new Broken(`nobody is blamed: ${code}: ${describeFailure(failure)}`);
  if (from !== 'nothing' && rank !== undefined && rank !== 1 && code !== 'PEER_LOST_BY_OTHERS')
    throw new Broken(`rank ${rank} is blamed: ${describeFailure(failure)}`);
  return new PodDistError(code, describeFailure(failure));
}

let trace: TraceFile;
let recorder: RunRecorder;

/**
 * A coordinator with combiner, recorder, display and trace, and messages of a member that knows the job's secret. Whatever
 * the messages are, the coordinator must continue, or end the job and name that member.
 */
export const coordinator: Target<Script> = {
  name: 'coordinator',
  // A member may report any error of its own.
  codes: Object.values(errorCodes).flatMap((group) => Object.keys(group) as ErrorCode[]),
  inputs: scripts,
  prepare(folder) {
    recorder = RunRecorder.open(join(folder, 'run'), config);
    trace = TraceFile.open(join(folder, 'trace.json'), (line) => {
      throw new Broken(line);
    });
  },
  async read(script, folder) {
    const display = new Display({
      ...{ epochs: 1, stepsPerEpoch: 1, resumedEpochs: 0, outDir: folder },
      write: (text) => text.split('\n').forEach(checkLine),
    });
    const combiner = new RunCombiner([recorder, display]);
    const deliveries = new Deliveries();
    const job = Coordinator.over(deliveries, {
      ...{ host: '', port: 0, token: '', worldSize: 2, transport: 'tcp' },
      ...{ joinTimeoutMs: 1e6, stallTimeoutMs: 1e6, stallWarningMs: 0, graceMs: 0 },
      onNotice: checkLine,
      readPart: combiner.readPart,
      combine: combiner.combineRead,
      onRecord: (rank, news) => combiner.record(news, rank),
      onTrace: (part) => trace.add(part),
    });
    let failure: JobFailure | undefined;
    void job.failure.then((found) => (failure = found));
    for (const said of spoken(script)) deliveries.deliver(said);
    await turn();
    if (!failure) await new Promise((resolve) => setTimeout(resolve, 1));
    void job.stop();
    display.close();
    if (combiner.evaluation) {
      const written = JSON.parse(JSON.stringify(combiner.evaluation)) as unknown;
      const { error } = evaluationSchema.safeParse(written);
      if (error) throw new Broken(`an evaluation that cannot be read: ${error.message}`);
    }
    if (failure) throw checkBlame(failure, script);
  },
  close() {
    recorder.close();
    trace.close();
    if (existsSync(trace.file)) JSON.parse(readFileSync(trace.file, 'utf8'));
  },
};
