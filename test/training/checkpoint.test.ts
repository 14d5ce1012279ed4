import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configSchema, type Config } from '../../src/config/schema.js';
import { emptyTotals } from '../../src/evaluation/totals.js';
import {
  findCheckpoint,
  loadCheckpoint,
  pruneCheckpoints,
  saveCheckpoint,
  type Checkpoint,
} from '../../src/training/checkpoint.js';

const config = configSchema.parse({
  data: { name: 'digits' },
  model: { name: 'small-cnn' },
  learningRate: { schedule: 'constant', rate: 0.1 },
});

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

  it('come back bit for bit', async () => {
    const saved = checkpoint(3);
    const folder = await saveCheckpoint(join(run, 'checkpoints'), saved);
    expect(folder).toBe(join(run, 'checkpoints', 'epoch-0003'));
    expect(await loadCheckpoint(folder)).toEqual(saved);
  });

  it('are found by run folder or by their own, the newest first', async () => {
    for (const epochs of [1, 2, 10]) await saveCheckpoint(join(run, 'checkpoints'), checkpoint(epochs));
    expect((await findCheckpoint(run)).checkpoint.epochs).toBe(10);
    expect((await findCheckpoint(join(run, 'checkpoints', 'epoch-0002'))).checkpoint.epochs).toBe(2);
  });

  it('name the file whose bytes changed, and a run falls back on the one before', async () => {
    const older = await saveCheckpoint(join(run, 'checkpoints'), checkpoint(1));
    const newer = await saveCheckpoint(join(run, 'checkpoints'), checkpoint(2));
    const file = join(newer, 'weights.bin');
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

  it('of an earlier version are read without the settings that are gone, which are named', async () => {
    const saved = checkpoint(1);
    const folder = await saveCheckpoint(join(run, 'checkpoints'), saved);
    const file = join(folder, 'checkpoint.json');
    const manifest = JSON.parse(await readFile(file, 'utf8')) as { config: Config };
    const { distributed, data } = manifest.config;
    Object.assign(distributed, { recordExposed: true });
    Object.assign(data, { cacheMegabytes: 9, old: { nested: 1 } });
    await writeFile(file, JSON.stringify(manifest));
    const said: string[] = [];
    expect(await loadCheckpoint(folder, (line) => said.push(line))).toEqual(saved);
    expect(said).toEqual([
      expect.stringMatching(/^\S+checkpoint\.json: data\.cacheMegabytes, data\.old, distributed/),
    ]);
    Object.assign(distributed, { wire: 'float8' });
    await writeFile(file, JSON.stringify(manifest));
    await expect(loadCheckpoint(folder)).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      message: expect.stringContaining('config.distributed.wire'),
    });
  });

  it('reject a manifest of something else in one line', async () => {
    const folder = await saveCheckpoint(join(run, 'checkpoints'), checkpoint(1));
    await writeFile(join(folder, 'checkpoint.json'), '{"format": 7}');
    await expect(loadCheckpoint(folder)).rejects.toMatchObject({
      message: expect.not.stringContaining('\n'),
    });
    await expect(findCheckpoint(join(run, 'nowhere'))).rejects.toMatchObject({
      code: 'CHECKPOINT_NOT_FOUND',
    });
  });

  it('are pruned to the newest, with what interrupted writes left', async () => {
    for (const epochs of [1, 2, 3]) await saveCheckpoint(join(run, 'checkpoints'), checkpoint(epochs));
    await writeFile(join(run, 'checkpoints', '.epoch-0004.99'), '');
    await pruneCheckpoints(run, 2);
    expect((await readdir(join(run, 'checkpoints'))).sort()).toEqual(['epoch-0002', 'epoch-0003']);
  });
});
