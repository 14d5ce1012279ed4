import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configSchema, type Config } from '../../src/config/schema.js';
import { emptyTotals } from '../../src/evaluation/totals.js';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { loadCheckpoint } from '../../src/checkpoint/load.js';
import { saveCheckpoint } from '../../src/checkpoint/save.js';
import { saveEvaluation } from '../../src/checkpoint/stored-evaluation.js';
import { findCheckpoint, listCheckpoints, pruneCheckpoints } from '../../src/checkpoint/checkpoints.js';
import { seal } from '../../src/checkpoint/sealed.js';
import { randomStream } from '../../src/util/random.js';

const config = configSchema.parse({
  data: { name: 'digits' },
  model: { name: 'small-cnn' },
  learningRate: { schedule: 'constant', rate: 0.1 },
});

/** A checkpoint in the middle of an epoch, of two ranks with arrays of their own. */
function inside(epochs: number, steps: number, stepsPerEpoch = 30): Checkpoint {
  const lossSums = [[0.1 + 0.2, 1 / 3], [1e-30]];
  return {
    ...checkpoint(epochs),
    within: { steps, step: epochs * stepsPerEpoch + steps, lossSum: 7 / 3, lossSums },
    evaluation: undefined,
    moving: Float32Array.of(5),
    own: {
      residual: [Float32Array.of(1, 0, 2), Float32Array.of(0, 3, 0)],
      moving: [Float32Array.of(5), Float32Array.of(6)],
    },
  };
}

function checkpoint(epochs: number): Checkpoint {
  return {
    epochs,
    lossState: [0.1 * epochs],
    seed: 1,
    worldSize: 2,
    classNames: ['a', 'b'],
    shape: [8, 8, 1],
    config,
    evaluation: emptyTotals(2),
    slots: [{ name: 'w', shape: [3], offset: 0, size: 3 }],
    weights: Float32Array.of(epochs, Math.PI, -0),
    updates: 30 * epochs,
    state: { velocity: Float32Array.of(1e-30, 2, 3) },
    moving: new Float32Array(0),
  };
}

describe('checkpoints', () => {
  let run: string;
  beforeEach(async () => void (run = await mkdtemp(join(tmpdir(), 'pod-dist-test-'))));
  afterEach(() => rm(run, { recursive: true }));

  it('are loaded with equal bits', async () => {
    const saved = checkpoint(3);
    const folder = await saveCheckpoint(join(run, 'checkpoints'), saved);
    expect(folder).toBe(join(run, 'checkpoints', 'epoch-0003'));
    expect(await loadCheckpoint(folder)).toEqual(saved);
  });

  it('of the middle of an epoch are loaded with equal bits, from one file for each rank', async () => {
    const { evaluation: _, ...saved } = inside(1, 7);
    const folder = await saveCheckpoint(join(run, 'checkpoints'), saved, { shards: 2 });
    expect(folder).toBe(join(run, 'checkpoints', 'step-00000037'));
    expect((await readdir(folder)).sort()).toEqual([
      'checkpoint.json',
      'moving.bin',
      'shard-0.bin',
      'shard-1.bin',
    ]);
    expect(await loadCheckpoint(folder)).toEqual(saved);
    const odd = {
      ...checkpoint(2),
      weights: new Float32Array(1),
      slots: [{ name: 'w', shape: [1], offset: 0, size: 1 }],
    };
    const whole = { ...odd, state: { mean: Float32Array.of(4), square: Float32Array.of(5) } };
    const spread = await saveCheckpoint(join(run, 'checkpoints'), whole, { shards: 3 });
    expect(await loadCheckpoint(spread)).toEqual(whole);
  });

  it('are listed in the order of training for any steps per epoch, and the last valid one is found', async () => {
    const folder = join(run, 'checkpoints');
    const saved = [
      checkpoint(2),
      inside(2, 1, 30),
      inside(1, 29),
      inside(2, 14, 15),
      checkpoint(1),
      inside(0, 5),
    ];
    for (const one of saved) await saveCheckpoint(folder, one, { shards: 2 });
    const order = [
      'step-00000005',
      'epoch-0001',
      'step-00000059',
      'epoch-0002',
      'step-00000061',
      'step-00000044',
    ];
    expect(await listCheckpoints(run)).toEqual(order.map((name) => join(folder, name)));
    const said: string[] = [];
    const find = async () => (await findCheckpoint(run, (line) => said.push(line))).folder;
    expect(await find()).toBe(join(folder, 'step-00000044'));
    for (const [index, name] of ['step-00000044', 'step-00000061'].entries()) {
      const bytes = await readFile(join(folder, name, 'checkpoint.json'));
      bytes[30 + 9 * index] ^= 4;
      await writeFile(join(folder, name, 'checkpoint.json'), bytes);
    }
    expect(await find()).toBe(join(folder, 'epoch-0002'));
    expect(said).toHaveLength(2);
  });

  it('are found by run folder, the newest first, or by their own folder', async () => {
    for (const epochs of [1, 2, 10]) await saveCheckpoint(join(run, 'checkpoints'), checkpoint(epochs));
    expect((await findCheckpoint(run)).checkpoint.epochs).toBe(10);
    expect((await findCheckpoint(join(run, 'checkpoints', 'epoch-0002'))).checkpoint.epochs).toBe(2);
  });

  it('are rejected with the name of a changed file, and the run folder falls back to the previous one', async () => {
    const older = await saveCheckpoint(join(run, 'checkpoints'), checkpoint(1));
    const newer = await saveCheckpoint(join(run, 'checkpoints'), checkpoint(2));
    const file = join(newer, 'shard-0.bin');
    const bytes = await readFile(file);
    bytes[0] ^= 1;
    await writeFile(file, bytes);
    await expect(loadCheckpoint(newer)).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      message: expect.stringContaining(file),
    });
    const skipped: string[] = [];
    expect((await findCheckpoint(run, (message) => skipped.push(message))).folder).toBe(older);
    expect(skipped).toEqual([expect.stringContaining(file)]);
  });

  type Manifest = { format: number; config: Config; evaluation?: object; sha256?: string };
  const readManifest = async (folder: string) =>
    JSON.parse(await readFile(join(folder, 'checkpoint.json'), 'utf8')) as Manifest;

  it('of an earlier version are read without removed settings, which are reported', async () => {
    const saved = checkpoint(1);
    const folder = await saveCheckpoint(join(run, 'checkpoints'), saved);
    const file = join(folder, 'checkpoint.json');
    const manifest = await readManifest(folder);
    const { distributed, data } = manifest.config;
    Object.assign(distributed, { recordExposed: true });
    Object.assign(data, { cacheMegabytes: 9, old: { nested: 1 } });
    await writeFile(file, seal(manifest));
    const said: string[] = [];
    expect(await loadCheckpoint(folder, (line) => said.push(line))).toMatchObject({ weights: saved.weights });
    expect(said).toEqual([
      expect.stringMatching(/^\S+checkpoint\.json: data\.cacheMegabytes, data\.old, distributed/),
    ]);
    Object.assign(distributed, { wire: 'float8' });
    await writeFile(file, seal(manifest));
    await expect(loadCheckpoint(folder)).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      message: expect.stringContaining('config.distributed.wire'),
    });
  });

  /** Rewrites a checkpoint in format 2: a file for each array. */
  async function asFormat2(folder: string, { weights, moving, state }: Checkpoint): Promise<Manifest> {
    const {
      buckets: _b,
      own: _o,
      shards: _s,
      ...rest
    } = (await readManifest(folder)) as Manifest & Record<string, unknown>;
    const arrays: Record<string, object> = {};
    for (const [name, array] of Object.entries({ weights, moving, ...state })) {
      const bytes = Buffer.from(array.buffer);
      await writeFile(join(folder, `${name}.bin`), bytes);
      arrays[name] = { length: array.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    }
    await rm(join(folder, 'shard-0.bin'));
    const manifest = { ...rest, format: 2, arrays };
    await writeFile(join(folder, 'checkpoint.json'), seal(manifest));
    return readManifest(folder);
  }

  it('of format 2, with a file for each array, are read', async () => {
    const { evaluation: _, ...saved } = checkpoint(2);
    const folder = await saveCheckpoint(join(run, 'checkpoints'), saved);
    await asFormat2(folder, saved);
    expect(await loadCheckpoint(folder)).toEqual(saved);
  });

  it('of format 1, without a digest and with the evaluation in the manifest, are read, with keep 0', async () => {
    const saved = checkpoint(2);
    const folder = await saveCheckpoint(join(run, 'checkpoints'), saved);
    const { sha256: _, ...manifest } = await asFormat2(folder, saved);
    const { keep: _keep, keepBest: _keepBest, ...checkpointing } = manifest.config.checkpoint;
    const old = { ...manifest, format: 1, evaluation: saved.evaluation };
    const settings = { ...manifest.config, checkpoint: checkpointing };
    await rm(join(folder, 'evaluation.json'));
    await writeFile(join(folder, 'checkpoint.json'), JSON.stringify({ ...old, config: settings }));
    const kept = { ...saved.config.checkpoint, keep: 0 };
    expect(await loadCheckpoint(folder)).toEqual({ ...saved, config: { ...saved.config, checkpoint: kept } });
    await writeFile(join(folder, 'checkpoint.json'), JSON.stringify({ ...old, format: 2 }));
    await expect(loadCheckpoint(folder)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });

  it('with a flipped bit or truncated file are rejected, or lose only their evaluation', async () => {
    const module = { name: 'backbone.mjs', sha256: '', text: Buffer.from('export default () => {};') };
    module.sha256 = createHash('sha256').update(module.text).digest('hex');
    const saved = { ...inside(3, 2), evaluation: emptyTotals(2), module };
    const folder = await saveCheckpoint(join(run, 'checkpoints'), saved, { shards: 2 });
    const { evaluation: _, ...unevaluated } = saved;
    const files = await Promise.all(
      (await readdir(folder)).map(async (name) => ({ name, bytes: await readFile(join(folder, name)) })),
    );
    const total = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const random = randomStream(1, 16);
    const outcomes = { refused: 0, unevaluated: 0 };
    for (let damage = 0; damage < 1650; damage++) {
      let at = random.below(total);
      const { name, bytes } = files.find(
        (file) => at < file.bytes.length || ((at -= file.bytes.length), false),
      )!;
      const damaged = Buffer.from(bytes);
      damaged[at] ^= 1 << random.below(8);
      await writeFile(join(folder, name), damage < 1500 ? damaged : bytes.subarray(0, at));
      const loaded = await loadCheckpoint(folder).catch((error: unknown) => error);
      if (name === 'evaluation.json') {
        expect(loaded, `${name} ${at}`).toEqual(unevaluated);
        outcomes.unevaluated++;
      } else {
        expect(loaded, `${name} ${at}`).toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
        outcomes.refused++;
      }
      await writeFile(join(folder, name), bytes);
    }
    expect(outcomes.refused).toBeGreaterThan(1000);
    expect(outcomes.unevaluated).toBeGreaterThan(10);
    for (const { name, bytes } of files) {
      if (name === 'evaluation.json') continue;
      const first = Buffer.from(bytes);
      first[0] ^= 1;
      for (const damaged of [first, bytes.subarray(0, -1), undefined]) {
        if (damaged) await writeFile(join(folder, name), damaged);
        else await rm(join(folder, name));
        await expect(loadCheckpoint(folder), name).rejects.toMatchObject({
          code: expect.stringMatching(/^CHECKPOINT_(CORRUPT|NOT_FOUND)$/),
        });
      }
      await writeFile(join(folder, name), bytes);
    }
    expect(await loadCheckpoint(folder)).toEqual(saved);
  });

  it('with another number of weights than their slots are rejected, even with right digests', async () => {
    const short = { ...checkpoint(1), weights: Float32Array.of(1) };
    const folder = await saveCheckpoint(join(run, 'checkpoints'), short);
    await expect(loadCheckpoint(folder)).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      message: expect.stringMatching(/epoch-0001 holds 1 weights, but the model of this checkpoint has 3$/),
    });
  });

  it.each([[[100_000, 100_000, 3]], [[-1, 8, 1]], [[8, 8, 0]]])(
    'with an image shape that no recipe allows are rejected: %j',
    async (shape) => {
      const saved = { ...checkpoint(1), shape: shape as [number, number, number] };
      const folder = await saveCheckpoint(join(run, 'checkpoints'), saved);
      await expect(loadCheckpoint(folder)).rejects.toMatchObject({
        code: 'CHECKPOINT_CORRUPT',
        message: expect.stringContaining('shape'),
      });
    },
  );

  it('ignore the evaluation of another checkpoint', async () => {
    const [one, two] = [checkpoint(1), checkpoint(2)];
    const folder = await saveCheckpoint(join(run, 'checkpoints'), { ...one, evaluation: undefined });
    const other = await saveCheckpoint(join(run, 'checkpoints'), two);
    expect((await loadCheckpoint(folder)).evaluation).toBeUndefined();
    await writeFile(join(folder, 'evaluation.json'), await readFile(join(other, 'evaluation.json')));
    expect((await loadCheckpoint(folder)).evaluation).toBeUndefined();
    await saveEvaluation(folder, emptyTotals(2));
    expect((await loadCheckpoint(folder)).evaluation).toEqual(emptyTotals(2));
  });

  it('with another manifest, or missing, are rejected in one line', async () => {
    const folder = await saveCheckpoint(join(run, 'checkpoints'), checkpoint(1));
    await writeFile(join(folder, 'checkpoint.json'), '{"format": 7}');
    await expect(loadCheckpoint(folder)).rejects.toMatchObject({
      message: expect.not.stringContaining('\n'),
    });
    await expect(findCheckpoint(join(run, 'nowhere'))).rejects.toMatchObject({
      code: 'CHECKPOINT_NOT_FOUND',
    });
  });

  it('are pruned by `every n epochs`, and the newest and the one just written always stay', async () => {
    const folder = join(run, 'checkpoints');
    for (let epochs = 1; epochs <= 6; epochs++) {
      await saveCheckpoint(folder, checkpoint(epochs));
      await saveCheckpoint(folder, inside(epochs, 4), { shards: 2 });
    }
    const left = async () => (await listCheckpoints(run)).map((one) => basename(one));
    await pruneCheckpoints(run, { last: 1, best: [], everyEpochs: 2 });
    expect(await left()).toEqual(['epoch-0002', 'epoch-0004', 'epoch-0006', 'step-00000184']);
    const written = join(folder, 'epoch-0004');
    await pruneCheckpoints(run, { last: 1, best: [], everyEpochs: 0 }, written);
    expect(await left()).toEqual(['epoch-0004', 'step-00000184']);
  });

  it('are pruned to the last and the best ones, and files of interrupted writes are removed', async () => {
    const folder = join(run, 'checkpoints');
    const correct = [3, 9, 4, 9, 5, 6];
    const trainLosses = [3, 5, 5, 5, 5, 5];
    for (const [index, count] of correct.entries()) {
      const evaluation = { ...emptyTotals(2), total: 10, correct: count, cosineSum: index === 2 ? 9 : 1 };
      const epoch = { trainLoss: trainLosses[index], seconds: 1 };
      await saveCheckpoint(folder, { ...checkpoint(index + 1), epoch, evaluation });
    }
    await writeFile(join(folder, '.epoch-0007.99'), '');
    const left = async () => (await readdir(folder)).map((name) => Number(name.slice(6)));
    await pruneCheckpoints(run, { last: 0, best: [], everyEpochs: 0 });
    expect(await left()).toEqual([1, 2, 3, 4, 5, 6]);
    const by = (metric: 'meanCosine' | 'trainLoss') => ({ count: 1, metric });
    await pruneCheckpoints(run, {
      last: 3,
      best: [{ count: 1, metric: 'evalAccuracy' }, by('meanCosine'), by('trainLoss')],
      everyEpochs: 0,
    });
    expect(await left()).toEqual([1, 3, 4, 5, 6]);
    await pruneCheckpoints(run, { last: 2, best: [{ count: 2, metric: 'evalAccuracy' }], everyEpochs: 0 });
    expect(await left()).toEqual([4, 5, 6]);
    await pruneCheckpoints(run, { last: 1, best: [{ count: 1, metric: 'evalAccuracy' }], everyEpochs: 0 });
    expect(await left()).toEqual([4, 6]);
  });
});
