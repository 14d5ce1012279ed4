import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addonFolder, libraryFolder, sourcesDigest } from '../../src/backend/native/cache.js';
import { loadMemoryAddon, memoryAddonFile } from '../../src/transport/host/memory-addon.js';
import { needs } from '../needs.js';

const cli = fileURLToPath(new URL('../../dist/launcher/cli.js', import.meta.url));
const library = [false, true]
  .map((cuda) => join(`${libraryFolder(cuda)}-wheel`, 'site', 'tensorflow'))
  .find((folder) => existsSync(folder));

describe('pod-dist setup', () => {
  let cache: string;
  beforeEach(() => void (cache = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
  afterEach(() => rmSync(cache, { recursive: true }));

  const command = (args: string[]) =>
    promisify(execFile)(process.execPath, [cli, ...args], {
      env: { ...process.env, POD_DIST_CACHE: cache },
      timeout: 110_000,
    });
  const setup = (...args: string[]) => command(['setup', '--json', ...args]);

  it(
    'builds against an installed library, once',
    needs('a library of native TensorFlow', library),
    async () => {
      const { stdout } = await setup('--library', library as string);
      expect(JSON.parse(stdout)).toMatchObject({ cached: false, tensorflow: 'installed', gpu: false });
      const again = await setup();
      expect(JSON.parse(again.stdout)).toMatchObject({ cached: true, tensorflow: 'installed' });
    },
  );

  it('reports in setup and launch that the addon does not load', async () => {
    const folder = addonFolder(false, { POD_DIST_CACHE: cache });
    const manifest = {
      tensorflow: '2.21.0',
      cuda: false,
      addon: 'addon.node',
      operations: null,
      sources: sourcesDigest(),
    };
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
    writeFileSync(join(folder, 'addon.node'), 'cut off');
    const run = (...args: string[]) =>
      command(args).catch((error: unknown) => error as { code: number; stdout: string; stderr: string });
    const launched = await run('launch', '--epochs', '1', '--out', join(cache, 'run'));
    expect(launched).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /addon\.node does not load: .*setup --force, or give --backend wasm \([^\n]+\n$/,
      ),
    });
    const again = await run('setup', '--library', cache);
    expect(again).toMatchObject({ code: 2, stdout: expect.stringContaining('building again: the addon') });
  });

  it('rejects a driver that is too old for CUDA before it downloads anything', async () => {
    const smi = join(cache, 'nvidia-smi');
    const setupWith = async (version: string) => {
      writeFileSync(smi, `#!/bin/sh\necho ${version}\n`);
      chmodSync(smi, 0o755);
      const env = {
        ...process.env,
        POD_DIST_CACHE: cache,
        PATH: `${cache}:${process.env.PATH}`,
        PIP_NO_INDEX: '1',
      };
      return promisify(execFile)(process.execPath, [cli, 'setup', '--cuda', '--from', 'wheel'], {
        env,
      }).catch((error: unknown) => error as { code: number; stdout: string; stderr: string });
    };
    const tooOld = await setupWith('525.60.12');
    expect(tooOld).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /^pod-dist: the NVIDIA driver 525\.60\.12 is too old for CUDA 12.*525\.60\.13.*\n$/,
      ),
    });
    expect(tooOld.stdout).not.toContain('pip');
    expect((await setupWith('525.105')).stdout).toContain('NVIDIA driver 525.105, TensorFlow for CUDA 12');
  });

  it('reports a missing library, and builds only the module for shared memory, which needs no TensorFlow', async () => {
    const failure = await setup('--library', cache).catch(
      (error: unknown) => error as { code: number; stderr: string },
    );
    expect(failure).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`no libtensorflow with its headers in ${cache}`),
    });
    const file = memoryAddonFile({ POD_DIST_CACHE: cache });
    expect(readdirSync(join(cache, 'native'))).toEqual([basename(file)]);
    expect(loadMemoryAddon(file)).toHaveProperty('advance');
  });
});
