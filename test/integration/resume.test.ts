import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCheckpoint } from '../../src/checkpoint/checkpoints.js';
import { seal } from '../../src/checkpoint/sealed.js';
import { paced, smallModel, until, Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

const compressed = ['distributed.wire=bf16', 'distributed.bucketBytes=2000'];

describe.each([
  [1, 'float32', 'epoch-0002', []],
  [2, 'float32', 'step-00000021', ['checkpoint.every=7 steps']],
  [3, 'bf16', 'epoch-0002', compressed],
])('a run with %i workers and %s on the wire that is killed after %s and resumed', (...given) => {
  const [workers, wire, at, settings] = given;
  const [whole, broken] = ['whole', 'broken'].map((name) => `${name}-${workers}`);
  const own = ['epochs=4', smallModel, ...settings];
  const flags = own.flatMap((setting) => ['--set', setting]);
  const recipe = ['--workers', String(workers), '--backend', 'wasm', ...flags];
  beforeAll(async () => {
    await place.train(workers, own, { out: whole });
    const command = place.start(['launch', ...recipe, '--out', broken], paced(40));
    const isThere = () => place.checkpoints(broken).some((name) => name >= at && name[0] === at[0]);
    await until('a checkpoint', () => isThere() || undefined);
    command.child.kill('SIGKILL');
    await command.clear();
    const resumed = await place.run('launch', ...recipe, '--resume', '--out', broken);
    expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
  });

  it('ends with the bits of an undisturbed run', () => {
    expect(place.report(broken).weightsSha256).toBe(place.report(whole).weightsSha256);
  });

  it('records every step and every epoch once', () => {
    const [actual, wanted] = [broken, whole].map((run) => place.metrics(run));
    expect(actual.steps.map(({ step, loss }) => [step, loss])).toEqual(
      wanted.steps.map(({ step, loss }) => [step, loss]),
    );
    expect(actual.epochs.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 3]);
  });

  it('has a residual in its checkpoints if and only if the wire is bf16', async () => {
    const { checkpoint } = await findCheckpoint(place.path(whole));
    const { residual } = checkpoint.state;
    expect(residual !== undefined).toBe(wire === 'bf16');
    const kept = residual?.filter((value) => value !== 0) ?? [];
    if (residual) expect(kept.length).toBeGreaterThan(residual.length / 2);
  });

  it('rejects --resume if all epochs are trained', async () => {
    const ended = await place.ask('launch', ...recipe, '--resume', '--out', whole);
    expect(ended).toMatchObject({
      code: 2,
      lastLine: expect.stringContaining('already trained 4 of 4 epochs'),
    });
  });
});

describe('a run with bf16 on the wire', () => {
  const recipe = [smallModel, 'batchSize=480'];
  beforeAll(() => place.train(2, [...recipe, 'epochs=1', ...compressed], { out: 'two' }), 60_000);

  it.each<[name: string, workers: number, settings: string[]]>([
    ['fewer', 1, compressed],
    ['more', 3, compressed],
    ['float32', 2, ['distributed.wire=float32']],
  ])('resumes with another number of workers or float32: %s', async (out, workers, settings) => {
    cpSync(place.path('two'), place.path(out), { recursive: true });
    await place.train(workers, [...recipe, ...settings, 'epochs=2'], { out, resume: 'must' });
    const { steps } = place.metrics(out);
    expect(steps).toHaveLength(6);
    expect(steps[5].loss).toBeLessThan(steps[0].loss);
  });
});

describe('a run with local batch-norm statistics', () => {
  it('resumes from an evaluated epoch with the statistics of the evaluation', async () => {
    const local = [smallModel, 'batchNorm.statistics=local', 'batchSize=96'];
    await place.train(2, [...local, 'epochs=3'], { out: 'local' });
    await place.train(2, [...local, 'epochs=2'], { out: 'parts' });
    await place.train(2, [...local, 'epochs=3'], { out: 'parts', resume: 'must' });
    const [wanted, actual] = ['local', 'parts'].map((run) =>
      place.metrics(run).epochs.map(({ meanCosine }) => meanCosine),
    );
    expect(actual).toEqual(wanted);
  });
});

describe('a run of an earlier version with a removed setting', () => {
  const flags = ['--backend', 'wasm', '--set', 'batchSize=480', '--set', smallModel];
  const edit = (from: string, to: string, ...path: string[]) => {
    const file = place.path('old', ...path);
    const text = readFileSync(file, 'utf8');
    expect(text).toContain(from);
    writeFileSync(file, text.replace(from, to));
  };

  /** Changes a manifest, with a valid digest, as if another version had written it. */
  const editManifest = (path: string[], change: (distributed: Record<string, unknown>) => void) => {
    const file = place.path('old', ...path);
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as {
      config: { distributed: Record<string, unknown> };
    };
    change(manifest.config.distributed);
    writeFileSync(file, seal(manifest));
  };

  it('is evaluated and resumed with a notice, and rejected for a wrong value', async () => {
    const first = await place.ask('launch', ...flags, '--epochs', '1', '--out', 'old');
    expect(first, first.stderr).toMatchObject({ code: 0 });
    edit('distributed:\n', 'distributed:\n  recordExposed: true\n', 'config.yaml');
    const manifest = ['checkpoints', 'epoch-0001', 'checkpoint.json'];
    editManifest(manifest, (distributed) => (distributed.recordExposed = true));

    for (const workers of ['1', '2']) {
      const evaluated = await place.ask('evaluate', '--checkpoint', 'old', '-n', workers, '--json');
      expect(evaluated, evaluated.stderr).toMatchObject({
        code: 0,
        stderr: expect.stringMatching(/checkpoint\.json: distributed\.recordExposed: no setting/),
      });
      expect(JSON.parse(evaluated.stdout)).toEqual(place.evaluation('old'));
    }
    const args = ['--resume', '--out', 'old', '--epochs', '2', '-n', '2'];
    const resumed = await place.ask('launch', ...args);
    expect(resumed, resumed.stderr).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        /checkpoint\.json: distributed\.recordExposed.*\n.*config\.yaml: distributed/,
      ),
    });
    expect(place.metrics('old').epochs.map(({ epoch }) => epoch)).toEqual([0, 1]);

    const second = ['checkpoints', 'epoch-0002', 'checkpoint.json'];
    editManifest(second, (distributed) => (distributed.wire = 'float8'));
    const wrong = await place.ask('evaluate', '--checkpoint', 'old/checkpoints/epoch-0002');
    expect(wrong).toMatchObject({ code: 2, lastLine: expect.stringContaining('config.distributed.wire') });
  });
});
