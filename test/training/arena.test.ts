import { describe, expect, it } from 'vitest';
import { run } from '../collective/ranks.js';

const mib = 2 ** 20;
const worldSize = 2;

/** Bytes that a run of ResNet-18 allocates in a rank's arena, and bytes of its parameters. */
async function measure(wire: string, optimizer: object): Promise<{ arena: number; parameters: number }> {
  const config = {
    backend: 'wasm',
    data: { name: 'digits' },
    model: { name: 'resnet18', dim: 64 },
    optimizer,
    learningRate: { schedule: 'constant', rate: 0.01 },
    distributed: { wire },
  };
  const options = { transport: 'ipc', scenario: 'training', timeoutMs: 60_000 } as const;
  const outcomes = await run({ worldSize, ...options, config });
  const results = outcomes.map((outcome) => {
    expect(outcome?.error).toBeUndefined();
    return outcome?.result as { parameters: number; bytes: number };
  });
  expect(results[0].parameters).toBeGreaterThan(11e6);
  return {
    arena: Math.max(...results.map(({ bytes }) => bytes)),
    parameters: 4 * results[0].parameters,
  };
}

describe('the arena of a run', () => {
  it.each([
    ['sgd', 1],
    ['adamw', 2],
  ])(
    'holds parameters, gradients, a shard of the state of %s, and at most 6 MiB more',
    async (name, arrays) => {
      const { arena, parameters } = await measure('float32', { name });
      const shard = (arrays * parameters) / worldSize;
      expect(arena).toBeLessThan(3 * parameters + shard);
      expect(arena).toBeLessThan(2 * parameters + shard + 6 * mib);
      expect(arena).toBeGreaterThan(2 * parameters + shard);
    },
    120_000,
  );

  it('also holds the residual with bf16 on the wire, and at most 12 MiB more', async () => {
    const { arena, parameters } = await measure('bf16', { name: 'sgd' });
    expect(arena).toBeLessThan(3 * parameters + parameters / worldSize + 12 * mib);
  }, 120_000);
});
