import { describe, expect, it } from 'vitest';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { decideOverlap } from '../../src/parallel/overlap.js';
import { run } from '../collective/ranks.js';

describe('decideOverlap', () => {
  it.each([
    ['auto', 'ipc', [], false],
    ['auto', 'ipc', [1], true],
    ['auto', 'tcp', [], true],
    ['on', 'ipc', [], true],
    ['off', 'tcp', [0, 1], false],
  ] as const)(
    'turns %s over %s, with GPUs on ranks %j, into %s on all ranks',
    async (wanted, transport, gpus, is) => {
      const outcomes = await run({ worldSize: 2, transport, scenario: 'overlap', wanted, gpus });
      expect(outcomes).toEqual([{ result: is }, { result: is }]);
    },
  );

  it('gives false for one rank', async () => {
    expect(await decideOverlap(new LocalCommunicator(), { wanted: 'on', gpu: true })).toBe(false);
  });
});
