import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { cli } from '../integration/command.js';
import { needs } from '../needs.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-loading-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Flags of Node.js that run `code` in the process of a command before the command. */
function before(code: string): string[] {
  const file = join(folder, 'before.cjs');
  writeFileSync(file, code);
  return ['--require', file];
}

async function run(flags: readonly string[], script: string, ...args: string[]) {
  const child = spawn(process.execPath, [...flags, script, ...args]);
  let stderr = '';
  child.stdout.resume();
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

describe('a command without tensors', () => {
  const tellTensorFlow = () =>
    before(`const modules = require('node:module');
      const { _load } = modules;
      modules._load = (name, ...rest) => {
        if (name.startsWith('@tensorflow/')) process._rawDebug('loads', name);
        return _load(name, ...rest);
      };`);

  it.each([
    [
      ['config', 'list'],
      ['launch', '--help'],
      ['worker', '--help'],
      ['evaluate', '--help'],
    ],
    [
      ['predict', '--help'],
      ['export', '--help'],
      ['doctor', '--help'],
      ['bench', 'step', '--help'],
    ],
  ])('does not load TensorFlow.js: %j %j %j %j', async (...commands) => {
    const ended = await Promise.all(commands.map((args) => run(tellTensorFlow(), cli, ...args)));
    expect(ended).toEqual(commands.map(() => ({ code: 0, stderr: '' })));
  });

  it('is checked by a hook that does see predict load TensorFlow.js', async () => {
    const { stderr } = await run(tellTensorFlow(), cli, 'predict', '--checkpoint', folder, 'photo.jpg');
    expect(stderr).toContain('loads @tensorflow/tfjs-core');
  });
});

describe('SIGUSR1', () => {
  it('opens no debugger while a command loads', async () => {
    const whileItLoads = before(`const fs = require('node:fs');
      const { readFileSync } = fs;
      fs.readFileSync = (file, ...rest) => {
        if (/package\\.json$/.test(String(file))) {
          process.kill(process.pid, 'SIGUSR1');
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
        }
        return readFileSync(file, ...rest);
      };`);
    expect(await run(whileItLoads, cli, '--help')).toEqual({ code: 0, stderr: '' });
    expect(await run(whileItLoads, cli, 'doctor')).toEqual({ code: 138, stderr: '' });
  });
});

describe('a limit of 32 open files', needs('a POSIX shell', process.platform !== 'win32'), () => {
  it('ends launch with one line and exit code 2', async () => {
    const child = spawn('bash', [
      ...['-c', 'ulimit -n 32 && exec "$@"', 'bash'],
      ...[process.execPath, cli, 'launch', '--workers', '4', '--out', join(folder, 'run')],
    ]);
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    expect(stderr).toMatch(
      /^pod-dist: too many files are open for the limit of this shell: .*ulimit -n 4096.*\n$/,
    );
    expect(code).toBe(2);
  });
});
