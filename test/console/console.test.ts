import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Workplace } from '../integration/command.js';
import { needs } from '../needs.js';

const cli = fileURLToPath(new URL('../../dist/launcher/cli.js', import.meta.url));
const full = '/dev/full' as const;

interface Said {
  code: number | null;
  stderr: string;
}

/** Runs a command whose standard output is a file, or a pipe without a reader. */
async function run(args: string[], output: typeof full | 'nobody', folder = '.'): Promise<Said> {
  const file = output === 'nobody' ? 'pipe' : openSync(output, 'w');
  const child = spawn(process.execPath, [cli, ...args], { cwd: folder, stdio: ['ignore', file, 'pipe'] });
  child.stdout?.destroy();
  if (typeof file === 'number') closeSync(file);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

describe('an unwritable standard output', () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  it('ends a command that prints data with code 141 if the reader has gone', async () => {
    expect(await run(['config', 'list'], 'nobody')).toEqual({ code: 141, stderr: '' });
  });

  const line = /^pod-dist: cannot write to standard output: ENOSPC: [^\n]*\n$/;

  it('ends a command with one line if the disk is full', needs('/dev/full', existsSync(full)), async () => {
    const { code, stderr } = await run(['config', 'list'], full);
    expect(code).toBe(1);
    expect(stderr).toMatch(line);
  });

  const training = ['launch', '--backend', 'wasm', '--epochs', '1', '--out', 'run', '--workers'];

  it('does not end a run if the reader has gone', async () => {
    expect(await run([...training, '2'], 'nobody', place.folder)).toEqual({ code: 0, stderr: '' });
    expect(place.report('run').epochs).toBe(1);
  });

  it(
    'gives a run exit code 1 if the disk is full, after it has trained',
    needs('/dev/full', existsSync(full)),
    async () => {
      const { code, stderr } = await run([...training, '1'], full, place.folder);
      expect(code).toBe(1);
      expect(stderr).toMatch(line);
      expect(place.report('run').epochs).toBe(1);
    },
  );
});
