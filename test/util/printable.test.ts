import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { printable, printableLines } from '../../src/util/printable.js';
import { scriptJson } from '../../src/report/html.js';
import { escapeHtml } from '../../src/util/escape-html.js';

const cli = fileURLToPath(new URL('../../dist/launcher/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));
const hostile = 'a\u001b[2J\u009b31m\u202eb\u0007\rc';
const shown = 'a\\u001b[2J\\u009b31m\\u202eb\\u0007\\u000dc';

describe('printable', () => {
  it('escapes control characters, and keeps other text', () => {
    expect(printable(`${hostile}\n\t`)).toBe(`${shown}\\u000a\\u0009`);
    expect(printableLines(`${hostile}\n\t`)).toBe(`${shown}\n\t`);
    expect(printable('Zoë 東京 👩‍🚀 {"a": [1]}')).toBe('Zoë 東京 👩‍🚀 {"a": [1]}');
  });

  it('keeps the value of JSON', () => {
    expect(JSON.parse(printableLines(JSON.stringify({ hostile }, null, 2)))).toEqual({ hostile });
  });

  it('is applied by escapeHtml and scriptJson', () => {
    expect(escapeHtml(`<${hostile}>`)).toBe(`&lt;${shown}&gt;`);
    expect(JSON.parse(scriptJson([hostile]))).toEqual([shown]);
  });
});

describe('commands', () => {
  const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

  it('print names and paths without control characters', () => {
    const name = hostile.replace('\r', '');
    mkdirSync(join(folder, 'train', name), { recursive: true });
    writeFileSync(join(folder, 'train', name, `${name}.jpg`), 'no image');
    writeFileSync(join(folder, 'own.yaml'), `extends: digits\n"${'\\e[31m'}key": 1\n`);
    const commands = [
      ['data', 'check', folder],
      ['data', 'check', folder, '--json'],
      ['config', 'show', join(folder, 'own.yaml')],
      ['launch', `--${name}`],
    ];
    for (const args of commands) {
      const { stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
        encoding: 'utf8',
        timeout: 60_000,
      });
      expect(stdout + stderr).toContain('\\u001b');
      expect(stdout + stderr).not.toMatch(unprintable);
    }
  });
});
