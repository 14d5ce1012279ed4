import { existsSync, readdirSync, statSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import type { DryRun } from '../../../src/launching/dry-run.js';
import { Workplace } from '../../integration/command.js';

const place = new Workplace();
afterAll(() => place.clear());

const settings = ['model={name: small-cnn, channels: [4, 8, 8], dim: 8, batchNorm: true}', 'ema.decay=0.9'];

describe('launch --dry-run', () => {
  it('predicts memory, disk and traffic of a run, and leaves no files', async () => {
    const sets = settings.flatMap((setting) => ['--set', setting]);
    const args = ['launch', '--dry-run', '--json', '-n', '2', '--backend', 'wasm', ...sets, '--out', 'run'];
    const ended = await place.run(...args);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(existsSync(place.path('run'))).toBe(false);
    expect(place.leftovers()).toEqual([]);
    const found = JSON.parse(ended.stdout) as DryRun;
    expect(found.imagesPerSecond).toBeGreaterThan(0);
    expect(found.epochSeconds).toBeCloseTo(1437 / found.imagesPerSecond, 9);

    await place.train(2, [...settings, 'epochs=1'], { out: 'run' });
    const { parameters } = place.report('run');
    expect(found).toMatchObject({ workers: 2, images: 1437, parameters });
    const [checkpoint] = readdirSync(place.path('run', 'checkpoints'));
    const numbers = readdirSync(place.path('run', 'checkpoints', checkpoint ?? ''))
      .filter((name) => name.endsWith('.bin'))
      .map((name) => statSync(place.path('run', 'checkpoints', checkpoint ?? '', name)).size);
    expect(found.disk.checkpointBytes).toBe(numbers.reduce((sum, size) => sum + size, 0));
    // Each of two workers sends half of the gradients and half of the weights.
    expect(found.wire.stepBytes).toBe(4 * parameters);
    expect(found.memory).toMatchObject({ weights: 4 * parameters, optimiser: 4 * parameters });
  });

  it('rejects --resume', async () => {
    const { code, lastLine } = await place.ask('launch', '--dry-run', '--resume', '--out', 'run');
    expect(code).toBe(2);
    expect(lastLine).toMatch(/leave out --resume/);
  });

  it('rejects --hosts', async () => {
    const { code, lastLine } = await place.ask('launch', '--dry-run', '--hosts', 'a:1,b:1');
    expect(code).toBe(2);
    expect(lastLine).toMatch(/leave out --hosts/);
  });
});
