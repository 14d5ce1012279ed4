import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backends, paced, smallModel, until, Workplace } from './command.js';
import { writeFolder } from '../data/images.js';
import { long, needs } from '../needs.js';

const worlds = ['1', '2', '4'];
const bitwise = ['--bitwise', '4'];

/** Weights, losses and evaluation of a finished run. */
function resultOf(place: Workplace, run: string) {
  const { steps, epochs } = place.metrics(run);
  return {
    weights: place.report(run).weightsSha256,
    average: place.report(run).averageSha256,
    steps: steps.map(({ loss, nac, sc, delta }) => [loss, nac, sc, delta] as (number | undefined)[]),
    losses: epochs.map(({ trainLoss }) => trainLoss),
    evaluation: place.evaluation(run),
  };
}

/** Trains with each number of workers, by the command. */
async function launched(args: readonly string[]) {
  const place = new Workplace();
  try {
    const results = [];
    for (const count of worlds) {
      const ended = await place.run('launch', '--workers', count, ...args, '--out', count);
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      results.push(resultOf(place, count));
    }
    return results;
  } finally {
    await place.clear();
  }
}

/** Expects the losses of the first five steps to agree within 1e-4, relatively. */
function expectAlike(actual: readonly (number | undefined)[][], wanted: readonly (number | undefined)[][]) {
  expect(actual.length).toBe(wanted.length);
  const [losses, others] = [actual, wanted].map((steps) => steps.slice(0, 5).map(([loss]) => loss as number));
  losses.forEach((loss, step) =>
    expect(Math.abs(loss / others[step] - 1), `step ${step}`).toBeLessThan(1e-4),
  );
}

it('launch --bitwise 4 trains the digits recipe to the same bits with 1, 2 and 4 workers', async () => {
  const [one, ...others] = await launched(['--backend', 'wasm', '--epochs', '1', ...bitwise]);
  expect(one.steps.length).toBe(15);
  for (const other of others) expect(other).toEqual(one);
});

describe('--bitwise 4', () => {
  const place = new Workplace();
  beforeAll(() => writeFolder(place.path('images'), ['a', 'b', 'c'], 12));
  afterAll(() => place.clear());
  const bits = 'distributed.bitwise=4';
  const few = ['data={name: image-folder, root: images, size: 8}', 'batchSize=18'];
  const small = 'model={name: small-cnn, dim: 32, channels: [8, 16], strides: [1, 2], batchNorm: true}';
  const lars = 'optimizer={name: lars, clipNorm: 1}';
  const mixup = ['data.augment.mixup.alpha=0.4', 'data.augment.mixProbability=0.8'];
  const strong = ['cutmix.alpha=1', 'randAugment.numOps=2', 'randomErasing.p=0.5', 'colorJitter.hue=0.2'].map(
    (setting) => `data.augment.${setting}`,
  );
  let runs = 0;

  async function trained(workers: number, settings: readonly string[]) {
    const out = `run-${runs++}`;
    await place.train(workers, ['epochs=1', ...settings], { out });
    return resultOf(place, out);
  }

  async function expectBitsOfFour(settings: readonly string[]): Promise<void> {
    const one = await trained(1, [...settings, bits]);
    expect(await trained(4, [...settings, bits])).toEqual(one);
    const plain = await trained(1, settings);
    expectAlike(one.steps, plain.steps);
  }

  it.each<[what: string, ...settings: string[]]>([
    ['softmax, LARS and clipping', 'loss.name=softmax', small, lars, 'distributed.bucketBytes=8000'],
    ['AM-Softmax, micro-batches, mixup', 'loss.name=am-softmax', small, 'accumulate=3', ...mixup],
    ['ArcFace, shares of the last batch without images', 'loss.name=arcface', small, 'batchSize=205'],
    [
      'PEDCC-Loss, a residual network, augmented image files',
      'loss.name=pedcc-loss',
      'model={name: resnet20, dim: 16}',
      ...few,
      ...strong,
    ],
    [
      'POD Loss without SC, AdamW, averages',
      'loss.sc=off',
      small,
      'optimizer={name: adamw}',
      'ema.decay=0.9',
    ],
  ])(
    'trains one worker and four to the same bits, and to the losses of a run without it: %s',
    async (_, ...settings) => expectBitsOfFour(settings),
  );

  it.each<[what: string, ...settings: string[]]>([
    ['dot regression, depthwise', 'loss.name=dot-regression', 'model={name: mobilenetv2, dim: 16}', ...few],
    ['dropout, gates, PReLU', 'loss.name=cot', 'model={name: resnet-face18, dim: 16, affine: false}', ...few],
    ['residuals that are gathered, mixup', small, 'model.dim=128', ...mixup],
  ])(
    'trains one worker and four to the same bits, and to the losses of a run without it: %s',
    long,
    async (_, ...settings) => expectBitsOfFour(settings),
  );

  describe('on native', needs('native TensorFlow', backends.length > 1), () => {
    it('trains the digits recipe to the same bits with 1, 2 and 4 workers', async () => {
      const one = await trained(1, ['backend=native', bits]);
      expect(one.steps.length).toBe(15);
      for (const workers of [2, 4]) expect(await trained(workers, ['backend=native', bits])).toEqual(one);
    });

    it('trains one worker and four of two threads each to the same bits', long, async () => {
      const model = ['distributed.threads=2', 'model={name: resnet20, dim: 16}', 'batchSize=240'];
      const settings = ['backend=native', ...model, bits];
      expect(await trained(4, settings)).toEqual(await trained(1, settings));
    });
  });

  it('is needed: without it one worker and four end with other bits', async () => {
    expect((await trained(4, [small])).weights).not.toBe((await trained(1, [small])).weights);
  });

  it('trains one worker and four to the same bits on the cpu backend', long, async () => {
    const settings = ['backend=cpu', 'batchSize=719', 'model.channels=[4, 4]', bits];
    expect(await trained(4, settings)).toEqual(await trained(1, settings));
  });

  it('trains to the same bits over tcp, with overlap and with the ring for every size', async () => {
    const ways = ['overlap=on', 'transport=tcp', 'ringBytes=0', 'directBytes=0'];
    const recipe = [small, 'optimizer.clipNorm=1', 'accumulate=2', bits];
    const one = await trained(1, recipe);
    const sums = [...recipe, ...ways.map((setting) => `distributed.${setting}`)];
    for (const workers of [2, 4]) expect(await trained(workers, sums)).toEqual(one);
  });

  it.each([
    [['--workers', '3'], /^pod-dist: distributed\.bitwise 4 is for 1, 2 or 4 workers, not for 3 \(see /],
    [['--workers', '8'], /^pod-dist: distributed\.bitwise 4 is for 1, 2 or 4 workers, not for 8 \(see /],
    [
      ['--backend', 'webgpu'],
      /^pod-dist: distributed\.bitwise 4 is for the backends native, wasm and cpu, not for webgpu \(see /,
    ],
    [['--wire', 'bf16'], /distributed\.wire: depends on the number of workers, .*: choose float32 \(see /],
    [['--bitwise', '6'], /distributed\.bitwise: must be a power of two, such as 4 \(see /],
  ])('refuses in one line: %j', async (args, message) => {
    const { code, lastLine } = await place.ask(
      'launch',
      ...bitwise.slice(args.includes('--bitwise') ? 2 : 0),
      ...args,
    );
    expect({ code, lastLine }).toEqual({ code: 2, lastLine: expect.stringMatching(message) });
  });
});

describe('a run of four workers with --bitwise 4 that is killed', () => {
  const place = new Workplace();
  beforeAll(async () => {
    const recipe = ['--backend', 'wasm', '--epochs', '4', '--set', smallModel, ...bitwise];
    await place.train(2, ['epochs=4', smallModel, 'distributed.bitwise=4'], { out: 'whole' });
    const command = place.start(['launch', '--workers', '4', ...recipe, '--out', 'broken'], paced(40));
    await until('a second checkpoint', () => place.checkpoints('broken').includes('epoch-0002') || undefined);
    command.child.kill('SIGKILL');
    await command.clear();
    const resumed = await place.ask('launch', '--workers', '1', ...recipe, '--resume', '--out', 'broken');
    expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
  });
  afterAll(() => place.clear());

  it('is resumed by one worker and ends with the bits of two', () => {
    expect(place.report('broken')).toMatchObject({ worldSize: 1 });
    expect(place.report('broken').weightsSha256).toBe(place.report('whole').weightsSha256);
    expect(place.evaluation('broken')).toEqual(place.evaluation('whole'));
  });
});
