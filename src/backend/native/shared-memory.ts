import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { memoryAddonFile, memorySources } from '../../transport/host/memory-addon.js';
import { messageOf } from '../../util/errors.js';
import type { SetupProgress } from './library.js';
import { minute, runCommand } from './run.js';

const require = createRequire(import.meta.url);

/** Sums keep the bits that they have in WebAssembly. */
const flags = ['-O3', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-fvisibility=hidden'];

/**
 * Compiles the module with which workers of one host share memory, whatever their backend; what is there already is
 * loaded once. It needs Linux and g++. Without it workers use pipes and files: a line says so, and nothing fails.
 */
export async function setUpSharedMemory(progress: SetupProgress, { force = false } = {}): Promise<void> {
  if (process.platform !== 'linux') return;
  const file = memoryAddonFile();
  try {
    if (existsSync(file) && !force && (await loads(file))) return;
    progress.step('compiling the module for memory that workers share');
    await mkdir(dirname(file), { recursive: true });
    const folder = await mkdtemp(join(dirname(file), '.memory-'));
    try {
      const made = join(folder, basename(file));
      await compile(made);
      if (!(await loads(made))) throw new Error('it does not load');
      await rename(made, file);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  } catch (error) {
    progress.step(`workers of one host will use pipes and files: no memory to share (${messageOf(error)})`);
  }
}

async function compile(output: string): Promise<void> {
  const headers = join(dirname(require.resolve('node-api-headers/package.json')), 'include');
  const shared = ['-std=c++17', '-fPIC', '-shared', '-DNAPI_VERSION=8', '-I', headers];
  await runCommand('g++', [...shared, ...flags, join(memorySources, 'module.cc'), '-o', output], 2 * minute);
}

/** Whether a fresh process can load it, as a worker's would. */
async function loads(file: string): Promise<boolean> {
  try {
    await runCommand(process.execPath, ['-e', 'require(process.argv[1]).map', file], minute);
    return true;
  } catch {
    return false;
  }
}
