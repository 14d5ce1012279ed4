import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { withSources } from '../../src/util/source-positions.js';
import { cli } from '../integration/command.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-sources-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the stack of an unexpected error', () => {
  it('refers to the sources, not to the bundle', () => {
    const bug = join(folder, 'bug.cjs');
    writeFileSync(
      bug,
      `const fs = require('node:fs');
      const { readFileSync } = fs;
      fs.readFileSync = (file, ...rest) => {
        if (String(file).endsWith('package.json')) throw new Error('a bug');
        return readFileSync(file, ...rest);
      };`,
    );
    const { stderr } = spawnSync(process.execPath, ['--require', bug, cli, '--help'], {
      encoding: 'utf8',
      env: { ...process.env, TMPDIR: folder },
    });
    const [, file] = /^pod-dist: unexpected error: a bug; its stack is in (\S+) \(see /.exec(stderr) ?? [];
    const stack = readFileSync(file, 'utf8');
    const source = readFileSync(new URL('../../launcher/version.ts', import.meta.url), 'utf8').split('\n');
    const line = source.findIndex((text) => text.includes('readFileSync(file')) + 1;
    expect(line).toBeGreaterThan(0);
    expect(stack).toContain(`/launcher/version.ts:${line}:`);
    expect(stack).not.toContain('main.cjs:1:');
  });

  it('stays unchanged without a source map', () => {
    const stack = 'Error: no\n    at f (/somewhere/bundle/main.cjs:12:3)\n    at g (node:fs:440:3)';
    expect(withSources(stack)).toBe(stack);
  });
});
