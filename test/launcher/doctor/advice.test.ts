import { describe, expect, it } from 'vitest';
import { advise } from '../../../launcher/doctor/advice.js';
import type { BackendHealth } from '../../../launcher/doctor/backends.js';
import type { Machine } from '../../../launcher/doctor/machine.js';

const machine: Machine = {
  node: '20.20.2',
  platform: 'linux x64',
  cpu: 'one',
  cores: 2,
  memoryGigabytes: 16,
  freeMemoryGigabytes: 8,
  temporaryFolder: { path: '/tmp', freeGigabytes: 10 },
  ipc: { ok: true },
  zeromq: { ok: true },
  sharp: { ok: true },
  gpus: [],
  adapters: [],
};
const nvidia = { index: 0, name: 'NVIDIA Test', memoryMegabytes: 80_000, driver: '550' };
const native: BackendHealth = { name: 'native', usable: true, gpu: false };

describe('advise', () => {
  it('gives no advice if nothing is missing', () => {
    expect(advise(machine, [native])).toEqual([]);
    expect(advise({ ...machine, gpus: [nvidia] }, [{ ...native, gpu: true }])).toEqual([]);
  });

  it.each<[string, Partial<Machine>, BackendHealth, RegExp]>([
    ['native TensorFlow', {}, { name: 'native', usable: false }, /^pod-dist setup: /],
    ['TensorFlow for CUDA', { gpus: [nvidia] }, native, /^pod-dist setup --cuda: /],
    [
      "batch norm's own operations",
      {},
      { ...native, faster: 'pod-dist setup --force: batch norm' },
      /^pod-dist setup --force: /,
    ],
    ['zeromq', { zeromq: { ok: false, reason: 'gone' } }, native, /zeromq/],
    ['more memory', { memoryGigabytes: 2 }, native, /^more memory/],
  ])('advises about missing %s', (_what, changes, health, wanted) => {
    const advice = advise({ ...machine, ...changes }, [health]);
    expect(advice).toHaveLength(1);
    expect(advice[0]).toMatch(wanted);
  });
});
