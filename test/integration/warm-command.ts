import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(
  new URL('../../dist/test/integration/fixtures/warm-command.js', import.meta.url),
);

export interface Answer {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * The command in a process that stays for the next command line, so that a mistake costs no start of Node. One command
 * line at a time. A command that ends its process, as `--help` does, is started anew.
 */
export class WarmCommand {
  private child: ChildProcess | undefined;

  constructor(
    private readonly folder: string,
    private readonly environment: NodeJS.ProcessEnv,
  ) {}

  async run(...args: string[]): Promise<Answer> {
    const child = (this.child ??= spawn(process.execPath, [script], {
      cwd: this.folder,
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    }));
    const mark = `end ${randomUUID()}`;
    const outputs = [child.stdout, child.stderr].map((stream) => textUntil(stream as Readable, mark));
    const done = new AbortController();
    const { signal } = done;
    try {
      const ended = once(child, 'exit', { signal }).then(([code]) => {
        this.child = undefined;
        return code as number | null;
      });
      const answered = once(child, 'message', { signal }).then(([code]) => code as number);
      child.send({ args, mark });
      const code = await Promise.race([answered, ended]);
      const [stdout, stderr] = await Promise.all(outputs);
      return { code, stdout, stderr };
    } finally {
      done.abort();
    }
  }

  async close(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

/** What a stream gives until the mark, or until it ends. */
function textUntil(stream: Readable, mark: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const settle = () => {
      stream.off('data', add).off('close', settle);
      resolve(text.replace(mark, ''));
    };
    const add = (data: Buffer) => {
      text += data.toString();
      if (text.endsWith(mark)) settle();
    };
    stream.on('data', add).on('close', settle);
  });
}
