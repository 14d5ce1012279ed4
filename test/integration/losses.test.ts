import { afterAll, describe, expect, it } from 'vitest';
import { Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

/** Trains with one worker and with three, and expects losses within 1e-4 in every step. */
async function sameLosses(name: string, ...settings: string[]): Promise<void> {
  const about = ['epochs=1', 'batchSize=160', 'learningRate.rate=0.1', ...settings];
  for (const workers of [1, 3]) await place.train(workers, about, { out: `${name}-${workers}` });
  const [one, three] = [1, 3].map((workers) => place.metrics(`${name}-${workers}`).steps);
  expect(one).toHaveLength(9);
  one.forEach((step, index) =>
    expect(Math.abs(three[index].loss - step.loss) / step.loss, `step ${index}`).toBeLessThan(1e-4),
  );
}

describe('one worker and three', () => {
  it('take the same steps with arcface, and its checkpoint contains the class weights', async () => {
    await sameLosses('arcface', 'loss.name=arcface', 'loss.scale=16');
    const evaluated = await place.run('evaluate', '--checkpoint', 'arcface-3', '--backend', 'wasm', '--json');
    const { correct, total } = JSON.parse(evaluated.stdout) as { correct: number; total: number };
    expect([correct, total]).toEqual([place.report('arcface-3').evalCorrect, 360]);
  });

  it('take the same steps with pedcc-loss, whose error is all-reduced before the gradient', async () => {
    await sameLosses('pedcc-loss', 'loss.name=pedcc-loss', 'loss.power=2');
  });
});

it('delta grows with the norms with schedule norm, and stays constant with schedule fixed', async () => {
  for (const schedule of ['norm', 'fixed']) {
    const settings = ['epochs=3', 'loss.delta.initial=0.02', `loss.delta.schedule=${schedule}`];
    await place.train(1, settings, { out: schedule });
  }
  const deltas = (run: string) => [...new Set(place.metrics(run).steps.map(({ delta }) => delta as number))];
  expect(deltas('fixed')).toEqual([0.02]);
  const [first, second, third] = deltas('norm');
  expect(first).toBe(0.02);
  expect(third).toBeGreaterThan(second);
});
