import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addonFolder, findAddon, readManifest, sourcesDigest } from '../../../src/backend/native/cache.js';

let cache: string;
let environment: NodeJS.ProcessEnv;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  environment = { POD_DIST_CACHE: cache };
});
afterEach(() => rmSync(cache, { recursive: true }));

const manifest = (cuda: boolean) => ({
  tensorflow: '2.21.0',
  cuda,
  addon: 'addon.node',
  operations: cuda ? null : 'operations.node',
  sources: sourcesDigest(),
  verified: { gpu: cuda },
});

function finish(cuda: boolean, text = JSON.stringify(manifest(cuda)), withAddon = true): string {
  const folder = addonFolder(cuda, environment);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'manifest.json'), text);
  if (withAddon) writeFileSync(join(folder, 'addon.node'), '');
  return folder;
}

describe('addonFolder', () => {
  it('differs with CUDA and names the platform', () => {
    const [cpu, cuda] = [addonFolder(false, environment), addonFolder(true, environment)];
    expect(cpu).not.toBe(cuda);
    for (const folder of [cpu, cuda]) {
      expect(folder.startsWith(join(cache, 'native'))).toBe(true);
      expect(folder).toContain(`${process.platform}-${process.arch}`);
    }
  });
});

describe('findAddon', () => {
  it('finds no addon before setup', () => {
    expect(findAddon(environment)).toBeUndefined();
    expect(readManifest(addonFolder(false, environment))).toBeUndefined();
  });

  it('finds the addon of a finished setup, CUDA first', () => {
    const cpu = finish(false);
    expect(findAddon(environment)).toEqual({
      ...{ file: join(cpu, 'addon.node'), operations: join(cpu, 'operations.node') },
      manifest: manifest(false),
    });
    const cuda = finish(true);
    expect(findAddon(environment)).toEqual({
      ...{ file: join(cuda, 'addon.node'), operations: undefined },
      manifest: manifest(true),
    });
  });

  it.each([
    ['a missing addon', JSON.stringify(manifest(true)), false],
    ['a manifest of another kind', '{"tensorflow": 2}', true],
    ['a truncated manifest', '{"tensorflow": "2.2', true],
    ['an empty manifest', '', true],
    ['operations of another version', JSON.stringify({ ...manifest(true), sources: 'other' }), true],
  ])('skips %s', (_what, text, withAddon) => {
    const cpu = finish(false);
    finish(true, text, withAddon);
    expect(findAddon(environment)?.file).toBe(join(cpu, 'addon.node'));
  });
});
