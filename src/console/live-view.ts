import { createLogUpdate } from 'log-update';
import type { EpochRecord, RanksRecord, StepRecord } from '../record/records.js';
import { printable } from '../util/printable.js';
import { Sparkline } from './sparkline.js';
import { keepBelow, terminal } from './terminal.js';

export interface LiveViewOptions {
  name: string;
  epochs: number;
  stepsPerEpoch: number;
  workers: number;
  /** Steps of the run before. */
  resumedSteps: number;
}

/** Milliseconds between two drawings, at least. */
const everyMs = 100;
/** Columns that are used, at most: what is short is not wrapped anew when the window gets narrower. */
const mostColumns = 78;
const barWidth = 24;
/** Rows that are left to what scrolls above. */
const rowsLeft = 4;

const blocks = { full: '█', empty: '░', levels: '▁▂▃▄▅▆▇█' };
const ascii = { full: '#', empty: '-', levels: '_.-=+*#' };

/**
 * Shows a run at the end of the terminal, redrawn in place: progress, loss, speed, accuracy, a line a rank. Whatever else
 * this process prints scrolls above. It is drawn when a record comes and the last drawing is a tenth of a second old, so
 * nothing waits for it and no timer wakes.
 */
export class LiveView {
  private readonly log = createLogUpdate(this.sink(), { showCursor: true });
  private readonly losses = new Sparkline();
  private readonly signs = hasBlocks(process.env) ? blocks : ascii;
  private readonly started = performance.now();
  private readonly detach: () => void;
  private readonly redraw = () => this.draw();
  private drawn = -Infinity;
  private lines: string[] = [];
  /** Width of the terminal when they were drawn. */
  private columns = 0;
  /** What has been drawn and is not on the terminal yet. */
  private output = '';
  private step?: StepRecord;
  private epoch?: EpochRecord;
  private best = 0;
  private ranks?: RanksRecord;
  private evaluated?: number;
  private closed = false;

  constructor(private readonly options: LiveViewOptions) {
    this.detach = keepBelow({ under: (text) => this.under(text) });
    process.stderr.on('resize', this.redraw);
    process.once('exit', showCursor);
    this.output = hideCursor;
    this.draw();
  }

  onStep(record: StepRecord): void {
    this.step = record;
    this.evaluated = undefined;
    this.losses.add(record.loss);
    this.drawSoon();
  }

  onEvaluating(images: number): void {
    this.evaluated = images;
    this.drawSoon();
  }

  onEpoch(record: EpochRecord, ranks?: RanksRecord): void {
    this.epoch = record;
    this.best = Math.max(this.best, record.evalAccuracy);
    this.ranks = ranks ?? this.ranks;
    this.evaluated = undefined;
    this.draw();
  }

  /** Takes it away; safe to call twice. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.detach();
    process.stderr.off('resize', this.redraw);
    process.off('exit', showCursor);
    this.clear();
    this.flush();
    showCursor();
  }

  private sink(): NodeJS.WriteStream {
    const write = (text: string) => {
      this.output += text;
      return true;
    };
    return Object.create(terminal(), {
      write: { value: write },
      isTTY: { value: false },
    }) as NodeJS.WriteStream;
  }

  /** Shows all that has been drawn since at once, so that nothing flickers. */
  private flush(): void {
    if (this.output !== '') terminal().write(together(this.output));
    this.output = '';
  }

  private under(text: string): string {
    this.clear();
    this.output += text;
    if (text.endsWith('\n')) this.render();
    const all = together(this.output);
    this.output = '';
    return all;
  }

  /**
   * Takes the view away. Where the terminal's width has changed since, it has wrapped the lines anew: then as many rows as
   * they may fill now.
   */
  private clear(): void {
    const { columns } = sizeOf(process.stderr);
    if (columns === this.columns) return this.log.clear();
    const rows = this.lines.reduce((sum, line) => sum + Math.ceil(Math.max(1, line.length) / columns), 0);
    if (rows > 0) this.output += `\u001b[${rows}A\r\u001b[J`;
    this.log.done();
  }

  private drawSoon(): void {
    if (performance.now() - this.drawn >= everyMs) this.draw();
  }

  private draw(): void {
    if (this.closed) return;
    if (sizeOf(process.stderr).columns !== this.columns) this.clear();
    this.render();
    this.flush();
  }

  private render(): void {
    this.drawn = performance.now();
    const { columns, rows } = sizeOf(process.stderr);
    const width = Math.min(mostColumns, columns - 1);
    const lines = [this.progress(), this.training(width), this.accuracy(), ...this.perRank()];
    const shown = lines.filter((line) => line !== '').slice(0, Math.max(1, rows - rowsLeft));
    this.lines = shown.map((line) => line.slice(0, width));
    this.columns = columns;
    this.log(this.lines.join('\n'));
  }

  private progress(): string {
    const { name, epochs, stepsPerEpoch } = this.options;
    const done = this.step ? this.step.step + 1 : this.options.resumedSteps;
    const share = Math.min(1, done / (epochs * stepsPerEpoch));
    const full = Math.round(share * barWidth);
    const bar = this.signs.full.repeat(full) + this.signs.empty.repeat(barWidth - full);
    const epoch = Math.min(epochs, Math.floor(Math.max(0, done - 1) / stepsPerEpoch) + 1);
    const inEpoch = done - (epoch - 1) * stepsPerEpoch;
    const place = `epoch ${epoch}/${epochs} step ${inEpoch}/${stepsPerEpoch}`;
    return `${bar} ${(100 * share).toFixed(0).padStart(3)} % ${place}, ${this.left(done)} left  ${printable(name)}`;
  }

  private left(done: number): string {
    const { epochs, stepsPerEpoch, resumedSteps } = this.options;
    if (done === resumedSteps) return '-';
    const each = (performance.now() - this.started) / 1000 / (done - resumedSteps);
    return duration(Math.round(each * (epochs * stepsPerEpoch - done)));
  }

  private training(width: number): string {
    if (!this.step) return 'loss -';
    const { loss, samplesPerSecond, lr } = this.step;
    const start = `loss ${loss.toFixed(4)} `;
    const rest = ` ${samplesPerSecond.toFixed(0)} images/s, learning rate ${Number(lr.toPrecision(3))}`;
    return (
      start + this.losses.draw(Math.max(1, width - start.length - rest.length), this.signs.levels) + rest
    );
  }

  private accuracy(): string {
    if (this.evaluated !== undefined) return `evaluating: ${this.evaluated} images so far`;
    if (!this.epoch) return '';
    const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
    const { evalAccuracy, meanCosine } = this.epoch;
    return `accuracy ${percent(evalAccuracy)}, best ${percent(this.best)}, mean cosine ${meanCosine.toFixed(3)}`;
  }

  private perRank(): string[] {
    if (this.ranks)
      return this.ranks.ranks.map(({ images, seconds, loaderSeconds, exposedSeconds }, rank) => {
        const share = (part: number) =>
          `${((100 * part) / Math.max(seconds, 1e-9)).toFixed(0).padStart(3)} %`;
        const speed = (images / Math.max(seconds, 1e-9)).toFixed(0).padStart(6);
        return `rank ${String(rank).padEnd(3)} ${speed} images/s, waits ${share(loaderSeconds)} for images, ${share(exposedSeconds)} for others`;
      });
    return Array.from(
      { length: this.options.workers },
      (_, rank) => `rank ${String(rank).padEnd(3)} in its first epoch`,
    );
  }
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** Columns and rows as they are now: Node.js itself asks for them once the signal of a change has come. */
function sizeOf(stream: NodeJS.WriteStream & { _refreshSize?(): void }): { columns: number; rows: number } {
  stream._refreshSize?.();
  const { columns = 80, rows = 24 } = stream;
  return { columns: Math.max(2, columns), rows: Math.max(2, rows) };
}

const hideCursor = '\u001b[?25l';

function showCursor(): void {
  terminal().write('\u001b[?25h');
}

/** Lets terminals that can show output as one picture (synchronised output, mode 2026). */
function together(output: string): string {
  return `\u001b[?2026h${output}\u001b[?2026l`;
}

/** Whether the terminal shows more than ASCII, as far as the environment says so. */
function hasBlocks({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  if (process.platform === 'win32' || process.platform === 'darwin') return true;
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}
