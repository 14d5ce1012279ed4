import { SingleBar } from 'cli-progress';
import { printable } from '../util/printable.js';
import { terminal } from './terminal.js';

/** Progress on standard error: a bar on a terminal, else a line every ten seconds. */
export class Progress {
  private readonly bar: SingleBar | undefined;
  private last = performance.now();

  /** @param unit name of what is counted, in pieces of `size` */
  constructor(
    private readonly unit: string,
    private readonly size: number,
  ) {
    if (!process.stderr.isTTY) return;
    const format = `{bar} {value} of {total} ${unit}, {eta} s left`;
    this.bar = new SingleBar({ format, clearOnComplete: true, stream: terminal() });
  }

  update(done: number, total: number | undefined): void {
    const amount = (value: number) => Math.round(value / this.size);
    if (this.bar) {
      if (!this.bar.isActive) this.bar.start(amount(total ?? done), 0);
      this.bar.setTotal(amount(total ?? done));
      this.bar.update(amount(done));
    } else if (performance.now() - this.last > 10_000) {
      this.last = performance.now();
      const whole = total === undefined ? '' : ` of ${amount(total)}`;
      process.stderr.write(`${amount(done)}${whole} ${this.unit}\n`);
    }
  }

  /** Prints one line instead of the bar. */
  line(text: string): void {
    this.bar?.stop();
    process.stderr.write(`${printable(text)}\n`);
  }

  /** Takes the bar away; safe to call twice. */
  close(): void {
    this.bar?.stop();
  }
}
