import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { WarmLine } from './fixtures/warm-command.js';
import { WarmProcesses } from './warm-processes.js';

const script = fileURLToPath(
  new URL('../../dist/test/integration/fixtures/warm-command.js', import.meta.url),
);

export interface Answer {
  code: number | null;
  stdout: string;
  stderr: string;
}

const processes = new WarmProcesses(1, () =>
  spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] }),
);

/**
 * Runs command lines, one at a time, in a process that stays for later command lines of this and other tests, which saves
 * starts of Node.js. If a command ends its process, as `--help` does, the next one starts a new process.
 */
export class WarmCommand {
  private child: ChildProcess | undefined;
  /** Whether the process may keep effects of a command, so that other tests must not use it. */
  private spoilt = false;

  /** `variables` are set in the process during a command. */
  constructor(
    private readonly folder: string,
    private readonly variables: Record<string, string>,
  ) {}

  async run(...args: string[]): Promise<Answer> {
    const child = (this.child ??= processes.take());
    const { folder, variables } = this;
    const mark = `end ${randomUUID()}`;
    const outputs = [child.stdout, child.stderr].map((stream) => textUntil(stream as Readable, mark));
    const wasSpoilt = this.spoilt || args.some((arg) => /plugins=|^--(?:allow-)?module/.test(arg));
    this.spoilt = true;
    const done = new AbortController();
    const { signal } = done;
    try {
      const ended = once(child, 'exit', { signal }).then(([code]) => {
        this.child = undefined;
        return code as number | null;
      });
      const answered = once(child, 'message', { signal }).then(([code]) => code as number);
      child.send({ args, folder, variables, mark } satisfies WarmLine);
      const code = await Promise.race([answered, ended]);
      const [stdout, stderr] = await Promise.all(outputs);
      this.spoilt = wasSpoilt;
      return { code, stdout, stderr };
    } finally {
      done.abort();
    }
  }

  async close(): Promise<void> {
    if (this.child) await processes.giveBack([this.child], this.spoilt);
    this.child = undefined;
  }
}

/** Text of a stream up to the mark, or to its end. */
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
