import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until, Workplace } from './command.js';

describe.each([1, 2])('a run of %i workers that is killed and resumed', (workers) => {
  const place = new Workplace();
  const recipe = ['--workers', String(workers), '--backend', 'wasm', '--epochs', '6'];
  beforeAll(async () => {
    const whole = await place.run('launch', ...recipe, '--out', 'whole');
    expect(whole, whole.stderr).toMatchObject({ code: 0 });
    const command = place.start(['launch', ...recipe, '--out', 'broken']);
    await until('a second checkpoint', () => {
      try {
        return readdirSync(place.path('broken', 'checkpoints')).includes('epoch-0002') || undefined;
      } catch {
        return undefined;
      }
    });
    command.child.kill('SIGKILL');
    await command.clear();
    const resumed = await place.run('launch', ...recipe, '--resume', '--out', 'broken');
    expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
  }, 120_000);
  afterAll(() => place.clear());

  it('ends with the same weights, bit for bit', () => {
    expect(place.report('broken').weightsSha256).toBe(place.report('whole').weightsSha256);
  });

  it('has every step and every epoch once in its record', () => {
    const [broken, whole] = ['broken', 'whole'].map((run) => place.metrics(run));
    expect(broken.steps.map(({ step, loss }) => [step, loss])).toEqual(
      whole.steps.map(({ step, loss }) => [step, loss]),
    );
    expect(broken.epochs.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('says so when there is nothing left to train', async () => {
    const ended = await place.run('launch', ...recipe, '--resume', '--out', 'whole');
    expect(ended).toMatchObject({
      code: 2,
      lastLine: expect.stringContaining('already trained 6 of 6 epochs'),
    });
  });
});
