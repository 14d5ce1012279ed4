import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configSchema } from '../../src/config/schema.js';
import {
  evaluate,
  exportModel,
  initBackend,
  launch,
  StoppedError,
  train,
  type LaunchOptions,
} from '../../src/index.js';
import type { Report } from '../../src/record/records.js';
import { writeFolder } from '../data/images.js';
import { Workplace, type Ended } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

describe('pod-dist launch', () => {
  let ended: Ended;
  beforeAll(async () => {
    ended = await place.run('launch', '--gpus', '2', '--epochs', '3', '--backend', 'wasm', '--out', 'run');
  });

  it('trains on the CPU without a GPU, and reports that', () => {
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stdout).toMatch(/^no GPU here.*: 2 workers train on the CPU$/m);
  });

  it('prints a line for each epoch and a table', () => {
    expect(ended.stdout.match(/^epoch \d\/3 loss [\d.]+ accuracy [\d.]+ % \(\d+\/360\)/gm)).toHaveLength(3);
    expect(ended.stdout).toMatch(/│ 2\s+│ wasm\s+│ 3 /);
  });

  it('writes the files of a run with exactly their documented fields', () => {
    expect(readdirSync(place.path('run')).sort()).toEqual([
      'checkpoints',
      'config.yaml',
      'evaluation.json',
      'job',
      'logs',
      'metrics.jsonl',
      'report.json',
    ]);
    expect(readdirSync(place.path('run', 'logs')).sort()).toEqual(['rank-0.log', 'rank-1.log']);
    expect(readdirSync(place.path('run', 'checkpoints')).sort()).toEqual([
      'epoch-0001',
      'epoch-0002',
      'epoch-0003',
    ]);
    const config = configSchema.parse(parse(readFileSync(place.path('run', 'config.yaml'), 'utf8')));
    expect(config).toMatchObject({ name: 'digits', workers: 2, epochs: 3, backend: 'wasm' });
    const { steps, epochs } = place.metrics('run');
    expect(Object.keys(steps[0]).sort()).toEqual([
      ...['delta', 'epoch', 'exposedMs', 'kind', 'loss', 'lr', 'nac', 'samplesPerSecond', 'sc', 'step'],
    ]);
    expect(Object.keys(epochs[0])).toEqual([
      ...['kind', 'epoch', 'trainLoss', 'evalCorrect', 'evalTotal', 'evalAccuracy'],
      ...['perClassAccuracy', 'meanCosine', 'seconds', 'exposedShare'],
    ]);
    expect(Object.keys(place.report('run'))).toEqual([
      ...['worldSize', 'backend', 'devices', 'parameters', 'epochs', 'evalCorrect', 'evalTotal'],
      ...['evalAccuracy', 'samplesPerSecond', 'exposedShare', 'centroidsSha256', 'weightsSha256', 'seconds'],
    ]);
    for (const { exposedMs } of steps) expect(exposedMs).toBeGreaterThan(0);
    expect(epochs[2].exposedShare).toBeGreaterThan(0);
    expect(epochs[2].exposedShare).toBeLessThan(1);
    expect(epochs[2].evalAccuracy).toBe(epochs[2].evalCorrect / 360);
  });

  it('rejects a folder that holds a run, and keeps its files', async () => {
    const before = readFileSync(place.path('run', 'report.json'));
    const again = await place.run('launch', '--epochs', '1', '--out', 'run');
    expect(again).toMatchObject({ code: 2, lastLine: expect.stringContaining('already holds files') });
    expect(readFileSync(place.path('run', 'report.json'))).toEqual(before);
  });

  it('prints only the report with --json', async () => {
    const args = ['--epochs', '1', '--backend', 'wasm', '--out', 'json', '--json'];
    const { code, stdout } = await place.run('launch', '--workers', '2', ...args);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(place.report('json'));
  });

  it('leaves no temporary files', () => {
    expect(place.leftovers()).toEqual([]);
  });
});

describe('ranks with different models', () => {
  const backbone = `export default ({ tf, shape, dim }) => {
    const units = process.env.RANK === '1' ? 5 : 4;
    const layers = [tf.layers.flatten({ inputShape: shape }), tf.layers.dense({ units }), tf.layers.dense({ units: dim })];
    return tf.sequential({ layers });
  };`;

  it.each([
    [
      [],
      /COLLECTIVE_MISMATCH: rank \d in broadcast 'weights'.*elements \d+ instead of \d+.*checkCollectives/,
    ],
    [
      ['--check-collectives'],
      /COLLECTIVE_MISMATCH: .*rank 0, 2: broadcast 'weights' of \d+ float32 .* at training\/share-state\.\w+:\d+; rank 1: broadcast 'weights' of \d+ float32 .* at training\/share-state\.\w+:\d+/,
    ],
  ])('fail with the differing collective, with flags %j', async (flags, message) => {
    writeFileSync(place.path('backbone.mjs'), backbone);
    const ended = await place.run(
      ...['launch', '--workers', '3', '--backend', 'wasm', '--out', `differing${flags.length}`, ...flags],
      ...['--set', 'model={name: module, path: backbone.mjs, dim: 16}'],
    );
    expect(ended.code).toBe(1);
    expect(ended.lastLine).toMatch(message);
  });
});

describe('the public API', () => {
  const recipe = parse(
    readFileSync(new URL('../../configs/digits.yaml', import.meta.url), 'utf8'),
  ) as Parameters<typeof train>[0];

  it('trains in this process and launches two workers, with the same result', async () => {
    const short = { ...recipe, epochs: 1, backend: 'wasm' } as const;
    const environment = { ...process.env };
    const alone: Report = await train(short, { outDir: place.path('api-1') });
    expect(process.env).toEqual(environment);
    const together = await launch({ ...short, workers: 2 }, { outDir: place.path('api-2') });
    expect([alone.worldSize, together.worldSize]).toEqual([1, 2]);
    expect(alone.evalCorrect).toBe(together.evalCorrect);
    expect(alone.centroidsSha256).toBe(together.centroidsSha256);
  });

  it("resumes with the run's pixel rules if none are given", async () => {
    const root = place.path('images');
    await writeFolder(root, ['a', 'b'], 4);
    const data = { name: 'image-folder', root, size: 8 } as const;
    const short = { ...recipe, data, epochs: 1, batchSize: 8, backend: 'wasm' } as const;
    const outDir = place.path('api-rules');
    await train({ ...short, data: { ...data, background: '#ff0000' } }, { outDir });
    await train({ ...short, epochs: 2 }, { outDir, resume: true });
    expect(readFileSync(join(outDir, 'config.yaml'), 'utf8')).toMatch(/background: "?#ff0000"?/);
  });

  it('leaks no tensors in train, evaluate and exportModel', async () => {
    const { tf } = await initBackend('wasm');
    const before = tf.memory().numTensors;
    const checkpoint = place.path('api-memory');
    await train({ ...recipe, epochs: 1, backend: 'wasm' }, { outDir: checkpoint });
    const { evaluation } = await evaluate({ checkpoint, backend: 'wasm' });
    expect(evaluation.total).toBe(360);
    const stop = new AbortController();
    const stopped = evaluate({ checkpoint, backend: 'wasm', signal: stop.signal, onLine: () => {} });
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'STOPPED', message: 'stopped' });
    await exportModel({ checkpoint, format: 'tfjs', out: place.path('api-exported') });
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each([
    [{ epochs: -1 }, /^config: epochs: /],
    [{ epoch: 3 }, /^config: unknown key epoch; did you mean epochs\?$/],
  ])('rejects a mistake with the same error in train and launch: %j', async (wrong, message) => {
    const mistaken = { ...recipe, ...wrong };
    for (const attempt of [train(mistaken), launch({ ...mistaken, workers: 2 })]) {
      const expected = { name: 'UserError', code: 'CONFIG_INVALID', message: expect.stringMatching(message) };
      await expect(attempt).rejects.toMatchObject(expected);
    }
  });

  it('rejects missing data with the error of the command', async () => {
    const data = { name: 'image-folder', root: place.path('nowhere') } as const;
    await expect(launch({ ...recipe, data, workers: 2 })).rejects.toMatchObject({
      ...{ name: 'UserError', code: 'DATA_NOT_FOUND' },
      message: expect.stringMatching(/^the folder .*nowhere.* does not exist: /),
    });
  });

  it.each([1, 2])('reports lines, and stops on its abort signal, with %i workers', async (workers) => {
    const stop = new AbortController();
    const lines: string[] = [];
    const outDir = place.path(`api-stopped-${workers}`);
    const running = launch(
      { ...recipe, workers, backend: 'wasm' },
      {
        outDir,
        signal: stop.signal,
        onLine: (line) => {
          lines.push(line);
          if (line.startsWith('epoch 2/')) stop.abort();
        },
      },
    );
    await expect(running).rejects.toMatchObject({ code: 'STOPPED' });
    expect(lines[0]).toMatch(/^digits: 1437 images, 30 epochs/);
    expect(readdirSync(join(outDir, 'checkpoints'))).toContain('epoch-0001');
    expect(lines.filter((line) => line.startsWith('epoch ')).length).toBeLessThan(30);
  });

  it('stops train after the current step', async () => {
    const stop = new AbortController();
    let steps = 0;
    const step = () => void (++steps === 3 && stop.abort());
    const outDir = place.path('api-stopped-here');
    const running = train(
      { ...recipe, backend: 'wasm' },
      { outDir, signal: stop.signal, listeners: [{ step }] },
    );
    await expect(running).rejects.toBeInstanceOf(StoppedError);
    await expect(running).rejects.toThrow('stopped; --resume goes on from the last checkpoint');
    expect(steps).toBe(3);
  });

  it.each([1, 2])(
    'calls the hooks in order, and rejects with the error of a hook, with %i workers',
    async (workers) => {
      const path = place.path('slow.mjs');
      writeFileSync(
        path,
        `export default ({ tf, shape, dim }) => {
        const dense = tf.layers.dense({ units: dim });
        const call = dense.call.bind(dense);
        let calls = 0;
        dense.call = (...given) => {
          if (process.env.RANK === '1' && ++calls === 5) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
          return call(...given);
        };
        return tf.sequential({ layers: [tf.layers.flatten({ inputShape: shape }), dense] });
      };`,
      );
      const outDir = place.path(`api-hooks-${workers}`);
      const failure = new TypeError('enough');
      const told: string[] = [];
      const records: object[] = [];
      const tell = (name: string, record: object) => void (told.push(name), records.push(record));
      const running = (workers === 1 ? train : launch)(
        {
          ...{ ...recipe, workers, backend: 'wasm', model: { name: 'module', path, dim: 16 } },
          distributed: { stallWarningSeconds: 1 },
          checkpoint: { keep: 30 },
        },
        {
          outDir,
          onStep: (record) => tell('step', record),
          onEpoch: (record) => tell(`epoch ${record.epoch}`, record),
          onCheckpoint: (record) => {
            tell(`checkpoint ${record.epochs}`, record);
            const manifest = readFileSync(join(record.path, 'checkpoint.json'), 'utf8');
            expect(JSON.parse(manifest)).toMatchObject({ epochs: record.epochs });
            if (record.epochs === 2) throw failure;
          },
          onIncident: (incident) => tell(incident.message, incident),
        } satisfies LaunchOptions,
      );
      await expect(running).rejects.toBe(failure);
      const incidents = told.filter((name) => /^rank 1 on host .* is late /.test(name));
      expect(incidents.length > 0).toBe(workers === 2);
      const epoch = Array.from({ length: 15 }, () => 'step');
      expect(told.filter((name) => !incidents.includes(name))).toEqual([
        ...[...epoch, 'checkpoint 1', 'epoch 0', ...epoch, 'checkpoint 2'],
      ]);
      for (const record of records) expect(Object.isFrozen(record)).toBe(true);
      expect(readdirSync(join(outDir, 'checkpoints'))).toEqual(
        expect.arrayContaining(['epoch-0001', 'epoch-0002']),
      );
      const resumed = launch(
        { ...recipe, workers, backend: 'wasm', model: { name: 'module', path, dim: 16 } },
        { outDir, resume: true, onEpoch: () => Promise.reject(failure) },
      );
      await expect(resumed).rejects.toBe(failure);
      expect(place.metrics('api-hooks-' + workers).epochs.length).toBeLessThan(30);
    },
  );

  it('starts nothing with an aborted signal', async () => {
    const signal = AbortSignal.abort();
    const outDir = place.path('api-not-started');
    await expect(launch({ ...recipe, workers: 2 }, { outDir, signal })).rejects.toBeInstanceOf(StoppedError);
    expect(existsSync(outDir)).toBe(false);
  });
});
