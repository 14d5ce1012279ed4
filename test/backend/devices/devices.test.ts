import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { devicesOf, type BackendName } from '../../../src/backend/backends.js';
import { readGpus, type DeviceRequest } from '../../../src/backend/devices/devices.js';
import { findGpus } from '../../../src/backend/devices/nvidia.js';
import { addonFolder, sourcesDigest } from '../../../src/backend/native/cache.js';

const names = ['PATH', 'CUDA_VISIBLE_DEVICES', 'NVIDIA_VISIBLE_DEVICES', 'POD_DIST_CACHE'] as const;
const before = Object.fromEntries(names.map((name) => [name, process.env[name]]));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  delete process.env.CUDA_VISIBLE_DEVICES;
  delete process.env.NVIDIA_VISIBLE_DEVICES;
  process.env.POD_DIST_CACHE = join(folder, 'cache');
  process.env.PATH = join(folder, 'bin');
  mkdirSync(process.env.PATH);
});
afterEach(() => {
  for (const name of names) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  rmSync(folder, { recursive: true });
});

/** Writes an nvidia-smi that lists `count` GPUs. */
function gpus(count: number, exitCode = 0): void {
  const lines = Array.from(
    { length: count },
    (_, index) => `GPU ${index}: NVIDIA Test (UUID: GPU-${index}a)`,
  );
  const script = join(folder, 'bin', 'nvidia-smi');
  writeFileSync(script, `#!/bin/sh\n${lines.map((line) => `echo '${line}'\n`).join('')}exit ${exitCode}\n`);
  chmodSync(script, 0o755);
}

function setUp(cuda: boolean): void {
  const addon = addonFolder(cuda);
  mkdirSync(addon, { recursive: true });
  const manifest = {
    tensorflow: '2',
    cuda,
    addon: 'addon.node',
    operations: null,
    sources: sourcesDigest(),
  };
  writeFileSync(join(addon, 'manifest.json'), JSON.stringify(manifest));
  writeFileSync(join(addon, 'addon.node'), '');
}

const request: DeviceRequest = { workers: 1, requireGpu: false };
const { countGpus, plan, ofLocalRank } = devicesOf('auto');

describe('findGpus', () => {
  it('lists no GPUs, with the reason, if nvidia-smi is missing, fails or lists none', async () => {
    expect(await findGpus()).toEqual({ gpus: [], none: 'there is no nvidia-smi' });
    process.env.NVIDIA_VISIBLE_DEVICES = 'void';
    expect((await findGpus()).none).toMatch(/^NVIDIA_VISIBLE_DEVICES is "void": the container/);
    delete process.env.NVIDIA_VISIBLE_DEVICES;
    gpus(0, 9);
    expect(await findGpus()).toMatchObject({ gpus: [], none: expect.stringMatching(/^nvidia-smi fails: /) });
    gpus(0);
    expect(await findGpus()).toMatchObject({ gpus: [], none: 'nvidia-smi lists none' });
  });

  it.each([
    [undefined, ['0', '1', '2']],
    ['', []],
    ['-1', []],
    ['NoDevFiles', []],
    ['none', []],
    ['2,0', ['2', '0']],
    ['0, 2', ['0', '2']],
    ['1,-1,0', ['1']],
    ['GPU-1a', ['GPU-1a']],
    ['GPU-2', ['GPU-2']],
    ['MIG-GPU-1a/0/0', ['MIG-GPU-1a/0/0']],
  ])('with CUDA_VISIBLE_DEVICES=%s lists %j of three GPUs', async (visible, wanted) => {
    gpus(3);
    if (visible !== undefined) process.env.CUDA_VISIBLE_DEVICES = visible;
    expect((await findGpus()).gpus).toEqual(wanted);
  });

  it.each([
    ['7', /is "7": there is no GPU 7; GPUs here are 0, 1, 2, and unset it means all$/],
    ['1,7,0', /is "1,7,0": there is no GPU 7/],
    ['all', /is "all": there is no GPU all/],
    ['0,0', /is "0,0": 0 is a GPU that it names twice/],
    ['1,GPU-1a', /GPU-1a is a GPU that it names twice/],
    ['GPU-', /there is no GPU GPU-/],
    ['GPU-9', /there is no GPU GPU-9/],
    ['MIG-x', /there is no GPU MIG-x/],
    ['0,,1', /an entry is empty/],
    ['-2', /there is no GPU -2/],
    ['1.5', /there is no GPU 1\.5/],
  ])('rejects CUDA_VISIBLE_DEVICES=%s with its value', async (visible, message) => {
    gpus(3);
    process.env.CUDA_VISIBLE_DEVICES = visible;
    const error = await findGpus().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'UserError', code: 'GPU_UNAVAILABLE' });
    expect((error as Error).message).toMatch(message);
  });
});

describe('--gpus', () => {
  it('takes a number or all', async () => {
    expect([readGpus(undefined), readGpus('3'), readGpus('all')]).toEqual([undefined, 3, 'all']);
    expect(await countGpus()).toBe(0);
    gpus(3);
    expect(await countGpus()).toBe(3);
    process.env.CUDA_VISIBLE_DEVICES = '2,0';
    expect(await countGpus()).toBe(2);
  });

  it.each(['0', '-1', '1.5', 'two', '', '1e9', '99999', 'ALL'])('rejects %j', (text) => {
    expect(() => readGpus(text)).toThrow(/give a number from 1 on, or all/);
  });
});

describe('plan', () => {
  it('gives workers on the CPU an equal share of the cores, and no GPU', async () => {
    gpus(2);
    const { perWorker, gpu, notice } = await plan({ ...request, workers: 3 });
    expect([perWorker.length, gpu, notice]).toEqual([3, false, undefined]);
    const threads = String(Math.max(1, Math.floor(availableParallelism() / 3)));
    for (const { device, env } of perWorker) {
      expect(device).toBe('CPU');
      expect(env).toMatchObject({ CUDA_VISIBLE_DEVICES: '', TF_NUM_INTRAOP_THREADS: threads });
    }
  });

  it('falls back to the CPU without a GPU, with a notice', async () => {
    const { perWorker, gpu, notice } = await plan({ ...request, gpus: 2 });
    expect(perWorker.length).toBe(2);
    expect([gpu, notice]).toEqual([
      false,
      'no GPU here (there is no nvidia-smi): 2 workers train on the CPU',
    ]);
    expect((await plan({ ...request, gpus: 1 })).notice).toBe(
      'no GPU here (there is no nvidia-smi): 1 worker trains on the CPU',
    );
  });

  it('gives each worker its own GPU', async () => {
    gpus(3);
    setUp(true);
    process.env.CUDA_VISIBLE_DEVICES = '2,1';
    const { perWorker, gpu } = await plan({ ...request, gpus: 2 });
    expect(gpu).toBe(true);
    expect(perWorker.map(({ device, env }) => [device, env.CUDA_VISIBLE_DEVICES])).toEqual([
      ['2', '2'],
      ['1', '1'],
    ]);
    expect(perWorker[0].env.TF_FORCE_GPU_ALLOW_GROWTH).toBe('true');
  });

  const refused: [
    string,
    number,
    boolean | undefined,
    Partial<DeviceRequest> & { backend?: BackendName },
    RegExp,
  ][] = [
    [
      'requireGpu without a GPU',
      0,
      true,
      { requireGpu: true },
      /^there is no NVIDIA GPU to use: nvidia-smi lists none; leave out --require-gpu/,
    ],
    ['more GPUs than the machine has', 2, true, { gpus: 3 }, /^3 GPUs asked for, 2 here: give --gpus 2/],
    ['a backend without GPUs', 1, true, { gpus: 1, backend: 'wasm' }, /^the wasm backend cannot use a GPU/],
    ['GPUs without set-up', 2, undefined, { gpus: 1 }, /^2 GPUs here, but .*pod-dist setup --cuda/],
    ['GPUs with a set-up for the CPU', 1, false, { gpus: 1 }, /^1 GPUs? here, but .*pod-dist setup --cuda/],
  ];
  it.each(refused)('rejects %s', async (_what, count, cuda, { backend = 'native', ...changes }, message) => {
    gpus(count);
    if (cuda !== undefined) setUp(cuda);
    const error = await devicesOf(backend)
      .plan({ ...request, ...changes })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'UserError', code: 'GPU_UNAVAILABLE' });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain('\n');
  });
});

describe('ofLocalRank', () => {
  const chosen = async (localRank: number) => (await ofLocalRank(localRank)).CUDA_VISIBLE_DEVICES;

  it('takes the GPU of the local rank among the visible ones, shared if there are fewer GPUs than ranks', async () => {
    gpus(3);
    setUp(true);
    expect(await ofLocalRank(2)).toEqual({ CUDA_VISIBLE_DEVICES: '2', TF_FORCE_GPU_ALLOW_GROWTH: 'true' });
    expect(await chosen(4)).toBe('1');
    process.env.CUDA_VISIBLE_DEVICES = '2,1';
    expect([await chosen(0), await chosen(1)]).toEqual(['2', '1']);
    process.env.CUDA_VISIBLE_DEVICES = '1';
    expect(await chosen(3)).toBe('1');
  });

  it('takes none without GPUs, on backends without GPUs, or with TensorFlow for the CPU', async () => {
    setUp(true);
    expect(await ofLocalRank(1)).toEqual({});
    gpus(2);
    expect(await devicesOf('wasm').ofLocalRank(1)).toEqual({});
    rmSync(addonFolder(true), { recursive: true });
    setUp(false);
    expect(await ofLocalRank(1)).toEqual({});
  });
});
