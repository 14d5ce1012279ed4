import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { cli } from '../integration/command.js';
import { needs } from '../needs.js';

/** Code that runs in the command's process whenever it resolves a module, with `specifier` and `parent` at hand. */
function onResolve(code: string): string[] {
  const hooks = `export async function resolve(specifier, context, next) {
    const parent = context.parentURL ?? '';
    ${code}
    return next(specifier, context);
  }`;
  const url = (source: string) => `data:text/javascript,${encodeURIComponent(source)}`;
  return [
    '--import',
    url(`import { register } from 'node:module'; register(${JSON.stringify(url(hooks))});`),
  ];
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
  const tellTensorFlow = onResolve(
    `if (/^@tensorflow\\/|\\/packages\\.js$/.test(specifier)) process._rawDebug('loads', specifier);`,
  );

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
    const ended = await Promise.all(commands.map((args) => run(tellTensorFlow, cli, ...args)));
    expect(ended).toEqual(commands.map(() => ({ code: 0, stderr: '' })));
  });

  it('would be seen to', async () => {
    const action = cli.replace(/cli\.js$/, 'actions/predict.js');
    const { stderr } = await run(tellTensorFlow, action);
    expect(stderr).toContain('loads ./packages.js');
  });
});

describe('SIGUSR1', () => {
  it('opens no debugger while a command still loads', async () => {
    const atFirstPackage = onResolve(`if (specifier === 'yargs') {
      process.kill(process.pid, 'SIGUSR1');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    }`);
    expect(await run(atFirstPackage, cli, '--help')).toEqual({ code: 138, stderr: '' });
  });
});

describe('too few files that may be open', needs('a POSIX shell', process.platform !== 'win32'), () => {
  it('are one line', async () => {
    const child = spawn('bash', ['-c', 'ulimit -n 64 && exec "$@"', 'bash', process.execPath, cli, 'launch']);
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    expect(stderr).toMatch(
      /^pod-dist: too many files are open for the limit of this shell: .*ulimit -n 4096.*\n$/,
    );
    expect(code).toBe(2);
  });
});
