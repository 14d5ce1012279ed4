import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { cpus, freemem, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { MeetingFolder } from '../../src/transport/meeting-folder.js';
import { askNvidiaSmi } from '../../src/backend/devices/nvidia.js';
import { availableCores } from '../../src/util/cores.js';
import { freeBytes } from '../../src/util/disk-room.js';
import type { AdapterDescription } from '../../src/backend/webgpu/dawn.js';
import { messageOf } from '../../src/util/errors.js';
import { findAdapters } from '../../src/backend/webgpu/adapters.js';

const require = createRequire(import.meta.url);

/** A part of the installation: whether it works, and why not. */
export interface PartHealth {
  ok: boolean;
  version?: string;
  /** Reason why it does not work, and what to do. */
  reason?: string;
}

export interface Gpu {
  index: number;
  name: string;
  memoryMegabytes: number;
  driver: string;
}

export interface Machine {
  node: string;
  platform: string;
  cpu: string;
  /** Cores that this process may use. */
  cores: number;
  memoryGigabytes: number;
  freeMemoryGigabytes: number;
  temporaryFolder: { path: string; freeGigabytes: number };
  /** Whether workers of one host can talk over Unix sockets; they use tcp where not. */
  ipc: PartHealth;
  zeromq: PartHealth;
  sharp: PartHealth;
  /** NVIDIA GPUs. */
  gpus: Gpu[];
  /** Adapters that WebGPU can compute on: GPUs of every maker, and software. */
  adapters: AdapterDescription[];
}

/** Examines this machine and this installation; every part is tried, not only looked for. */
export async function examineMachine(): Promise<Machine> {
  const [zeromq, ipc, sharp, gpus, adapters] = await Promise.all([
    examineZeromq(),
    examineIpc(),
    examineSharp(),
    listGpuDetails(),
    findAdapters().catch(() => []),
  ]);
  const path = tmpdir();
  return {
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableCores(),
    memoryGigabytes: totalmem() / 1e9,
    freeMemoryGigabytes: freemem() / 1e9,
    temporaryFolder: { path, freeGigabytes: freeBytes(path) / 1e9 },
    ipc,
    zeromq,
    sharp,
    gpus,
    adapters,
  };
}

async function examineZeromq(): Promise<PartHealth> {
  try {
    const { version } = await import('zeromq');
    const own = require('zeromq/package.json') as { version: string };
    return { ok: true, version: `${own.version} (libzmq ${version})` };
  } catch (error) {
    return { ok: false, reason: `it does not load: ${messageOf(error)}; run npm ci again` };
  }
}

/** Sends one message through a socket file in the temporary folder. */
async function examineIpc(): Promise<PartHealth> {
  let folder: MeetingFolder | undefined;
  try {
    folder = await MeetingFolder.make(randomBytes(12).toString('hex'), 0);
    if (!folder) {
      return {
        ok: false,
        reason: `Unix sockets cannot be used under ${tmpdir()}: workers use tcp; a short TMPDIR makes them faster`,
      };
    }
    const { Pair } = await import('zeromq');
    const options = { linger: 0, sendTimeout: 3000, receiveTimeout: 3000 };
    const [listening, calling] = [new Pair(options), new Pair(options)];
    try {
      const address = `ipc://${join(folder.path, 'probe')}`;
      await listening.bind(address);
      calling.connect(address);
      await calling.send('well');
      const [answer] = await listening.receive();
      return String(answer) === 'well' ? { ok: true } : { ok: false, reason: 'a message came out changed' };
    } finally {
      calling.close();
      listening.close();
    }
  } catch (error) {
    return { ok: false, reason: `no message through ${tmpdir()}: ${messageOf(error)}; workers use tcp` };
  } finally {
    folder?.remove();
  }
}

/** Encodes and decodes a pixel. */
async function examineSharp(): Promise<PartHealth> {
  try {
    const { default: sharp } = await import('sharp');
    const create = { width: 8, height: 8, channels: 3, background: '#808080' } as const;
    const file = await sharp({ create }).jpeg().toBuffer();
    const { info } = await sharp(file).raw().toBuffer({ resolveWithObject: true });
    if (info.width !== 8) throw new Error('a test image comes out wrong');
    return { ok: true, version: sharp.versions.sharp };
  } catch (error) {
    return {
      ok: false,
      reason: `image files cannot be read: ${messageOf(error)}; run npm ci --include=optional`,
    };
  }
}

async function listGpuDetails(): Promise<Gpu[]> {
  const query = ['--query-gpu=index,name,memory.total,driver_version', '--format=csv,noheader,nounits'];
  const { output = '' } = await askNvidiaSmi(query);
  return output
    .trim()
    .split('\n')
    .map((line) => line.split(',').map((field) => field.trim()))
    .flatMap(([index, name, memory, driver]) =>
      name === undefined || driver === undefined
        ? []
        : [{ index: Number(index), name, memoryMegabytes: Number(memory), driver }],
    );
}
