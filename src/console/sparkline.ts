import { largest, smallest } from '../util/extremes.js';

/** Means that are kept; whenever there are as many, each two become one. */
const mostMeans = 64;

/** Curve of values in one line: each character is the mean of as many values in a row. */
export class Sparkline {
  private means: number[] = [];
  private each = 1;
  private sum = 0;
  private count = 0;

  add(value: number): void {
    if (!Number.isFinite(value)) return;
    this.sum += value;
    this.count++;
    if (this.count < this.each) return;
    this.means.push(this.sum / this.count);
    this.sum = this.count = 0;
    if (this.means.length < mostMeans) return;
    this.means = this.means.flatMap((mean, at) =>
      at % 2 === 0 ? [] : [(mean + (this.means[at - 1] ?? mean)) / 2],
    );
    this.each *= 2;
  }

  /** At most `width` characters out of `levels`, the lowest first; the last ones where there are more. */
  draw(width: number, levels: string): string {
    const shown = this.means.slice(-width);
    const least = smallest(shown);
    const step = (largest(shown) - least) / (levels.length - 1) || 1;
    return shown.map((mean) => levels[Math.round((mean - least) / step)] ?? '').join('');
  }
}
