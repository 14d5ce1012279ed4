import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';

const signals = new URL('../../dist/src/util/signals.js', import.meta.url).href;

/** A process that runs `work`, `(stop) => Promise`, until a signal. It prints "ready" first and the outcome last. */
class Working {
  private readonly child;
  private printed = '';

  constructor(work: string) {
    const program = `
      import { untilSignal } from '${signals}';
      setInterval(() => {}, 1000);
      const work = ${work};
      const running = untilSignal(work);
      console.log('ready');
      running.then(console.log, (error) => console.log(error.code ?? error, error.by ?? '')).finally(() => process.exit());`;
    const args = ['--input-type=module', '-e', program];
    this.child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.printed += text));
  }

  async ready(): Promise<this> {
    while (!this.printed.includes('ready')) await once(this.child.stdout, 'data');
    return this;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The last line of output, and the milliseconds until the end. */
  async ended(): Promise<{ line: string; ms: number }> {
    const began = performance.now();
    await once(this.child, 'close');
    return { line: this.printed.trim().split('\n').at(-1) ?? '', ms: performance.now() - began };
  }
}

const deaf = '() => new Promise(() => {})';

describe('untilSignal', () => {
  it('returns the result of the work', async () => {
    expect((await new Working('async () => 42').ended()).line).toBe('42');
  });

  it('aborts the work with the name of the signal, and waits for its end', async () => {
    const working = await new Working(
      `(stop) => new Promise((resolve) => stop.addEventListener('abort', () => setTimeout(resolve, 200, stop.reason)))`,
    ).ready();
    working.kill('SIGTERM');
    expect((await working.ended()).line).toBe('SIGTERM');
  });

  it('waits three seconds for work that does not end', async () => {
    const working = await new Working(deaf).ready();
    working.kill('SIGINT');
    const { line, ms } = await working.ended();
    expect(line).toBe('STOPPED SIGINT');
    expect(ms).toBeGreaterThan(2900);
  });

  it('ends at once on a second signal', async () => {
    const working = await new Working(deaf).ready();
    working.kill('SIGINT');
    const ended = working.ended();
    await new Promise((resolve) => setTimeout(resolve, 200));
    working.kill('SIGINT');
    const { line, ms } = await ended;
    expect(line).toBe('STOPPED SIGINT');
    expect(ms).toBeLessThan(2500);
  });
});
