import { SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import type { EvaluationTotals } from '../evaluation/totals.js';
import type { EpochRecord, MissedRecord, NoticeRecord, Position, StepRecord } from '../record/records.js';
import { printable } from '../util/printable.js';
import type { RunListener } from '../record/run-record.js';
import type { Report } from '../record/records.js';
import { clearLine, terminal } from './terminal.js';

export interface DisplayOptions {
  epochs: number;
  stepsPerEpoch: number;
  /** How far the run had come before, where it goes on. */
  resumed?: Position;
  /** Run folder, named at the end. */
  outDir: string;
  /** A terminal gets a progress bar, anything else plain lines. */
  terminal: boolean;
  write(text: string): void;
}

/** Seconds between two lines within an epoch where there is no terminal. */
const lineEverySeconds = 10;

/** Shows a run on the console: a progress bar or plain lines, a line an epoch, a table at the end. */
export class Display implements RunListener {
  private readonly bar: SingleBar | undefined;
  private lastLine = performance.now();
  private readonly started = performance.now();

  constructor(private readonly options: DisplayOptions) {
    if (!options.terminal) return;
    this.bar = new SingleBar({
      format: '{bar} epoch {epoch}/{epochs} | loss {loss} | {speed} images/s | {left} left',
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      stream: terminal(),
    });
    const first = this.resumedSteps;
    const unknown = {
      epoch: (options.resumed?.epochs ?? 0) + 1,
      epochs: options.epochs,
      loss: '-',
      speed: '-',
      left: '-',
    };
    this.bar.start(options.epochs * options.stepsPerEpoch, first, unknown);
  }

  step(record: StepRecord): void {
    const { epochs, stepsPerEpoch } = this.options;
    const state = {
      epoch: record.epoch + 1,
      epochs,
      loss: record.loss.toFixed(4),
      speed: record.samplesPerSecond.toFixed(0),
      left: this.left(record.step + 1),
    };
    if (this.bar) {
      this.bar.update(record.step + 1, state);
      return;
    }
    const now = performance.now();
    if (now - this.lastLine < lineEverySeconds * 1000) return;
    this.lastLine = now;
    const step = (record.step % stepsPerEpoch) + 1;
    this.options.write(
      `epoch ${state.epoch}/${epochs} step ${step}/${stepsPerEpoch} loss ${state.loss} ${state.speed} images/s ${state.left} left\n`,
    );
  }

  missed({ message }: MissedRecord): void {
    this.line(message);
  }

  notice({ message }: NoticeRecord): void {
    this.line(message);
  }

  epoch(record: EpochRecord, _totals: EvaluationTotals): void {
    this.lastLine = performance.now();
    const accuracy = (100 * record.evalAccuracy).toFixed(2);
    const { exposedShare: share } = record;
    const exposed = share === undefined ? '' : `, ${(100 * share).toFixed(0)} % waiting for other workers`;
    this.line(
      `epoch ${record.epoch + 1}/${this.options.epochs} loss ${record.trainLoss.toFixed(4)} accuracy ${accuracy} % ` +
        `(${record.evalCorrect}/${record.evalTotal}) mean cosine ${record.meanCosine.toFixed(3)} ${record.seconds.toFixed(1)} s${exposed}`,
    );
  }

  finished(report: Report): void {
    this.close();
    const table = new Table({
      head: ['workers', 'backend', 'epochs', 'accuracy', 'images/s', 'seconds', 'run'],
      style: { head: [], border: [] },
    });
    table.push([
      report.worldSize,
      report.backend,
      report.epochs,
      `${(100 * report.evalAccuracy).toFixed(2)} % (${report.evalCorrect}/${report.evalTotal})`,
      report.samplesPerSecond.toFixed(0),
      report.seconds.toFixed(1),
      printable(this.options.outDir),
    ]);
    this.options.write(`${table.toString()}\n`);
  }

  /** One line of news, above the bar where there is one. */
  line(text: string): void {
    const shown = printable(text);
    if (!this.bar) {
      this.options.write(`${shown}\n`);
      return;
    }
    terminal().write(`${clearLine}${shown}\n`);
    this.bar.render();
  }

  /** Takes the bar away; safe to call twice. */
  close(): void {
    this.bar?.stop();
  }

  private get resumedSteps(): number {
    const { resumed = { epochs: 0, steps: 0 }, stepsPerEpoch } = this.options;
    return resumed.epochs * stepsPerEpoch + resumed.steps;
  }

  private left(steps: number): string {
    const { epochs, stepsPerEpoch } = this.options;
    const done = steps - this.resumedSteps;
    const each = (performance.now() - this.started) / 1000 / done;
    const seconds = Math.round(each * (epochs * stepsPerEpoch - steps));
    return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
}
