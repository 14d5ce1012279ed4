import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backends, until, Workplace } from './command.js';

const worlds = ['1', '2', '4'];
const bitwise = ['--bitwise', '4'];
const short = ['--backend', 'wasm', '--epochs', '1'];

/** Trains with each number of workers; gives what every run comes to, from its weights to its evaluation. */
async function trained(args: readonly string[], workers = worlds) {
  const place = new Workplace();
  try {
    const results = [];
    for (const count of workers) {
      const ended = await place.run('launch', '--workers', count, ...args, '--out', count);
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      const { steps, epochs } = place.metrics(count);
      results.push({
        weights: place.report(count).weightsSha256,
        steps: steps.map(({ loss, nac, sc, delta }) => [loss, nac, sc, delta] as (number | undefined)[]),
        losses: epochs.map(({ trainLoss }) => trainLoss),
        evaluation: place.evaluation(count),
      });
    }
    return results;
  } finally {
    await place.clear();
  }
}

/** The same losses to rounding, while it has not grown. */
function expectAlike(actual: readonly (number | undefined)[][], wanted: readonly (number | undefined)[][]) {
  expect(actual.length).toBe(wanted.length);
  const [losses, others] = [actual, wanted].map((steps) => steps.slice(0, 5).map(([loss]) => loss as number));
  losses.forEach((loss, step) =>
    expect(Math.abs(loss / others[step] - 1), `step ${step}`).toBeLessThan(1e-4),
  );
}

describe.each(backends)('the digits recipe on %s with 1, 2 and 4 workers', (backend) => {
  it('comes to the same bits with --bitwise 4, and to others without it', { timeout: 120_000 }, async () => {
    const recipe = ['--backend', backend, '--epochs', '2'];
    const [one, ...others] = await trained([...recipe, ...bitwise]);
    expect(one.steps.length).toBe(30);
    for (const other of others) expect(other).toEqual(one);
    const [alone, together] = await trained(recipe, ['1', '4']);
    expect(together.weights).not.toBe(alone.weights);
  });
});

it.runIf(backends.length > 1)(
  'gives one worker the bits of four, of two threads each',
  { timeout: 60_000 },
  async () => {
    const settings = [
      '--set',
      'distributed.threads=2',
      '--set',
      'model={name: resnet20, dim: 16}',
      '--batch-size',
      '240',
    ];
    const args = ['--backend', 'native', '--epochs', '1', ...bitwise, ...settings];
    const [one, four] = await trained(args, ['1', '4']);
    expect(four).toEqual(one);
  },
);

it('gives one worker the bits of four in plain JavaScript', { timeout: 60_000 }, async () => {
  const settings = ['--batch-size', '719', '--set', 'model.channels=[4, 4]'];
  const [one, four] = await trained(
    ['--backend', 'cpu', '--epochs', '1', ...bitwise, ...settings],
    ['1', '4'],
  );
  expect(four).toEqual(one);
});

describe('--bitwise 4', () => {
  const place = new Workplace();
  afterAll(() => place.clear());

  it.each<[what: string, ...args: string[]]>([
    ['softmax', '--set', 'loss.name=softmax'],
    ['AM-Softmax', '--set', 'loss.name=am-softmax'],
    ['ArcFace', '--set', 'loss.name=arcface'],
    ['PEDCC-Loss', '--set', 'loss.name=pedcc-loss'],
    ['dot regression', '--set', 'loss.name=dot-regression'],
    ['POD Loss without SC, and AdamW', '--set', 'loss.sc=off', '--set', 'optimizer={name: adamw}'],
    [
      'LARS and clipping',
      '--set',
      'optimizer={name: lars, clipNorm: 1}',
      '--set',
      'distributed.bucketBytes=20000',
    ],
    ['micro-batches', '--set', 'accumulate=3'],
    ['residuals that are gathered', '--set', 'model.dim=128'],
    ['shares of the last batch without images', '--batch-size', '205'],
    ['a residual network', '--set', 'model={name: resnet20, dim: 16}', '--batch-size', '240'],
    ['depthwise convolutions', '--set', 'model={name: mobilenetv2, dim: 16}', '--batch-size', '719'],
  ])(
    'gives one worker the bits of four, and the losses of other runs: %s',
    { timeout: 120_000 },
    async (_, ...args) => {
      const [one, four] = await trained([...short, ...bitwise, ...args], ['1', '4']);
      expect(four).toEqual(one);
      const [plain] = await trained([...short, ...args], ['1']);
      expectAlike(one.steps, plain.steps);
    },
  );

  it('gives them whatever way the sums take', { timeout: 60_000 }, async () => {
    const settings = ['overlap=on', 'transport=tcp', 'ringBytes=0', 'directBytes=0'];
    const set = settings.flatMap((setting) => ['--set', `distributed.${setting}`]);
    const recipe = [...short, ...bitwise, '--set', 'optimizer.clipNorm=1', '--set', 'accumulate=2'];
    const [one] = await trained(recipe, ['1']);
    expect(await trained([...recipe, ...set], ['2', '4'])).toEqual([one, one]);
  });

  it.each([
    [['--workers', '3'], /^pod-dist: distributed\.bitwise 4 is for 1, 2 or 4 workers, not for 3$/],
    [['--workers', '8'], /^pod-dist: distributed\.bitwise 4 is for 1, 2 or 4 workers, not for 8$/],
    [
      ['--backend', 'webgpu'],
      /^pod-dist: distributed\.bitwise 4 is for the backends native, wasm and cpu, not for webgpu$/,
    ],
    [['--wire', 'bf16'], /distributed\.wire: depends on the number of workers, .*: choose float32$/],
    [['--bitwise', '6'], /distributed\.bitwise: must be a power of two, such as 4$/],
  ])('refuses what it cannot do: %j', async (args, message) => {
    const { code, lastLine } = await place.run(
      'launch',
      ...bitwise.slice(args.includes('--bitwise') ? 2 : 0),
      ...args,
    );
    expect({ code, lastLine }).toEqual({ code: 2, lastLine: expect.stringMatching(message) });
  });
});

describe('a run of four workers that is killed', () => {
  const place = new Workplace();
  beforeAll(async () => {
    const recipe = ['--backend', 'wasm', '--epochs', '4', ...bitwise];
    const whole = await place.run('launch', '--workers', '2', ...recipe, '--out', 'whole');
    expect(whole, whole.stderr).toMatchObject({ code: 0 });
    const command = place.start(['launch', '--workers', '4', ...recipe, '--out', 'broken']);
    await until('a second checkpoint', () => place.checkpoints('broken').includes('epoch-0002') || undefined);
    command.child.kill('SIGKILL');
    await command.clear();
    const resumed = await place.run('launch', '--workers', '1', ...recipe, '--resume', '--out', 'broken');
    expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
  }, 120_000);
  afterAll(() => place.clear());

  it('goes on with one, and ends with the bits of two', () => {
    expect(place.report('broken')).toMatchObject({ worldSize: 1 });
    expect(place.report('broken').weightsSha256).toBe(place.report('whole').weightsSha256);
    expect(place.evaluation('broken')).toEqual(place.evaluation('whole'));
  });
});
