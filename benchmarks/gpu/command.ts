import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../../launcher/cli.js', import.meta.url));

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
  seconds: number;
}

/** A `pod-dist` command that runs; all of its processes end at its deadline. */
export class Command {
  readonly outcome: Promise<Outcome>;

  constructor(program: string, args: readonly string[], seconds: number) {
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const began = performance.now();
    const texts = { stdout: '', stderr: '' };
    child.stdout.on('data', (text: Buffer) => (texts.stdout += text.toString()));
    child.stderr.on('data', (text: Buffer) => (texts.stderr += text.toString()));
    const end = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    };
    const timer = setTimeout(end, 1000 * seconds);
    this.outcome = once(child, 'close').then(([code]) => {
      clearTimeout(timer);
      return { code: code as number | null, ...texts, seconds: (performance.now() - began) / 1000 };
    });
  }
}

export function podDist(args: readonly string[], seconds: number): Command {
  return new Command(process.execPath, [cli, ...args], seconds);
}

/** Runs a command; returns its standard output, or throws where it fails. */
export async function outputOf(command: Command): Promise<string> {
  const { code, stdout, stderr, seconds } = await command.outcome;
  if (code === 0) return stdout;
  const last = stderr.trim().split('\n').at(-1);
  throw new Error(
    `exit code ${code ?? 'none'} after ${seconds.toFixed(0)} s: ${last || stdout.trim().slice(-300)}`,
  );
}

/** Parses lines of JSON. */
export function rowsOf(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
