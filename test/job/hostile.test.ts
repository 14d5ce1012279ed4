import { afterEach, describe, expect, it } from 'vitest';
import type { WorkerMessage } from '../../src/job/control/protocol.js';
import { RunCombiner } from '../../src/record/combine.js';
import { Job, type Client } from './clients.js';
import { times, totals } from './valid-parts.js';

let job: Job;
afterEach(() => job.stop());

async function running(): Promise<[Client, Client]> {
  const combiner = new RunCombiner([]);
  const { readPart, combineRead: combine, record } = combiner;
  job = await Job.start({ readPart, combine, onRecord: (rank, news) => record(news, rank) });
  return job.running();
}

const step = { kind: 'step', epoch: 0, loss: 1, delta: 0, lr: 0.1, samplesPerSecond: 9 };
const epoch = { epoch: 0, trainLoss: 1, seconds: 1, totals, times };
const image = (label: number, cosine = 1) => {
  const bytes = new Uint8Array(29);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, label, true);
  for (const at of [9, 13, 17, 21, 25]) view.setFloat32(at, cosine, true);
  return bytes;
};
const evaluation = {
  totals,
  images: image(0),
  drawn: new Uint8Array(),
  shared: {
    dataset: 'd',
    classNames: ['a', 'b'],
    dim: 2,
    epochs: 1,
    mirrored: false,
    scale: 'cosine' as const,
    correlation: null,
    vectors: [],
  },
};

const record = (news: unknown): WorkerMessage => ({ type: 'record', news });
const gather = (name: string, part: unknown): WorkerMessage => ({ type: 'gather', name, part });

describe('a member that breaks the protocol', () => {
  const messages: [what: string, message: WorkerMessage, cause: RegExp][] = [
    ['records null', record(null), /what it records is not pod-dist's/],
    ['records a BigInt', record({ ...step, step: 2n ** 60n }), /what it records is not pod-dist's \(step: /],
    ['records a NaN', record({ ...step, step: 1, loss: NaN }), /\(loss: /],
    [
      'records a step that another rank has to record',
      record({ ...step, step: 1 }),
      /rank 1 records step 1 out of turn/,
    ],
    ['gathers an unknown name', gather('everything', 1), /nothing is gathered under the name 'everything'/],
    ['gathers a name of Object.prototype', gather('constructor', 1), /nothing is gathered/],
    ['gives null for an epoch', gather('epoch', null), /'epoch' is not pod-dist's/],
    [
      'counts more correct images than images',
      gather('epoch', { ...epoch, totals: { ...totals, correct: 2 } }),
      /add up/,
    ],
    ['counts for no class', gather('epoch', { ...epoch, totals: { ...totals, classTotal: [] } }), /add up/],
    [
      'gives half an image',
      gather('evaluation', { ...evaluation, images: new Uint8Array(28) }),
      /not whole images/,
    ],
    ['gives an unknown class', gather('evaluation', { ...evaluation, images: image(2) }), /out of range/],
    ['gives a cosine of 7', gather('evaluation', { ...evaluation, images: image(0, 7) }), /out of range/],
    [
      'gives more than 2000 points to draw',
      gather('evaluation', { ...evaluation, drawn: new Uint8Array(32_016) }),
      /more than 2000 points/,
    ],
    [
      'gives a point of an unknown class',
      gather('evaluation', { ...evaluation, drawn: new Uint8Array(16).fill(1) }),
      /drawn: /,
    ],
    ['gives text instead of bytes', gather('evaluation', { ...evaluation, images: 'x' }), /images: /],
    [
      'loses an unknown rank',
      { type: 'lost', peer: 7 },
      /lost connection to rank 7, which is not one of its peers/,
    ],
    ['connects twice', { type: 'connected' }, /says connected out of turn/],
  ];

  it.each(messages)('fails the job with its rank when it %s', async (_what, message, cause) => {
    const [, second] = await running();
    second.say(message);
    const failure = await job.coordinator.failure;
    expect(failure).toMatchObject({ rank: 1, host: 'here', code: 'PROTOCOL_ERROR', user: false });
    expect(failure.cause).toMatch(cause);
    expect(failure.cause).not.toContain('\n');
  });

  it('fails the job with its rank when it gathers a name twice', async () => {
    const [, second] = await running();
    for (let time = 0; time < 2; time++) second.say(gather('epoch', epoch));
    expect(await job.coordinator.failure).toMatchObject({
      rank: 1,
      cause: expect.stringContaining('epoch twice'),
    });
  });

  it.each([
    [
      'a million agreements',
      1_000_000,
      (index: number) => ({ type: 'agree', name: `n${index}`, value: '' }) as const,
    ],
    ['150 MB of records', 2400, () => record({ ...step, step: 1, more: 'x'.repeat(62_000) })],
    ['300,000 small messages', 300_000, () => ({ type: 'clock', sent: 1 }) as const],
  ])(
    "fails the job with its rank when it sends %s, without filling the coordinator's memory",
    async (_what, count, make) => {
      const [, second] = await running();
      const before = process.memoryUsage().rss;
      let failed = false;
      void job.coordinator.failure.then(() => (failed = true));
      for (let index = 0; index < count && !failed; index++) {
        second.say(make(index));
        if (index % 500 === 499) await second.said();
      }
      expect(await job.coordinator.failure).toMatchObject({ rank: 1, code: 'PROTOCOL_ERROR' });
      expect(process.memoryUsage().rss - before).toBeLessThan(500 * 2 ** 20);
    },
  );

  it('is not assumed when all ranks gather valid parts', async () => {
    const ranks = await running();
    for (const rank of ranks) rank.say(gather('epoch', epoch));
    for (const rank of ranks) {
      const { result } = await rank.next('gathered');
      expect(result).toMatchObject({ record: { evalCorrect: 2, evalTotal: 2 } });
    }
    for (const rank of ranks) rank.say(gather('evaluation', evaluation));
    for (const rank of ranks) await rank.next('gathered');
  });

  it('is not assumed when all ranks gather the largest valid part', async () => {
    const classes = 1000;
    const perClass = new Array<number>(classes).fill(50);
    const large = {
      ...epoch,
      totals: {
        total: 50_000,
        correct: 50_000,
        classTotal: perClass,
        classCorrect: perClass,
        confusion: Array.from({ length: classes * (classes + 1) }, (_, at) =>
          at % (classes + 2) === 0 ? 70_000 : 65_536,
        ),
        cosineSum: 1,
      },
    };
    const ranks = await running();
    for (const rank of ranks) rank.say(gather('epoch', large));
    const { result } = await ranks[0].next('gathered', 20_000);
    expect((result as { totals: { confusion: number[] } }).totals.confusion[0]).toBe(140_000);
  });
});
