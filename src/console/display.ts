import Table from 'cli-table3';
import type { EvaluationTotals } from '../evaluation/totals.js';
import type {
  EpochRecord,
  MissedRecord,
  NoticeRecord,
  Position,
  RanksRecord,
  StepRecord,
} from '../record/records.js';
import { printable } from '../util/printable.js';
import type { RunListener } from '../record/run-record.js';
import type { Report } from '../record/records.js';
import type { LiveView } from './live-view.js';

export interface DisplayOptions {
  epochs: number;
  stepsPerEpoch: number;
  /** How far the run had come before, where it goes on. */
  resumed?: Position;
  /** Run folder, named at the end. */
  outDir: string;
  /** Shows the steps in place of lines, and stays below all other lines; default: plain lines. */
  view?: LiveView;
  write(text: string): void;
}

/** Seconds between two lines within an epoch where there is no terminal. */
const lineEverySeconds = 10;

/** Shows a run on the console: a view in place or plain lines of its steps, a line an epoch, a table at the end. */
export class Display implements RunListener {
  private lastLine = performance.now();
  private readonly started = performance.now();

  constructor(private readonly options: DisplayOptions) {}

  step(record: StepRecord): void {
    const { epochs, stepsPerEpoch, view } = this.options;
    if (view) return view.onStep(record);
    const now = performance.now();
    if (now - this.lastLine < lineEverySeconds * 1000) return;
    this.lastLine = now;
    const step = (record.step % stepsPerEpoch) + 1;
    this.options.write(
      `epoch ${record.epoch + 1}/${epochs} step ${step}/${stepsPerEpoch} loss ${record.loss.toFixed(4)} ${record.samplesPerSecond.toFixed(0)} images/s ${this.left(record.step + 1)} left\n`,
    );
  }

  evaluating(images: number): void {
    this.options.view?.onEvaluating(images);
  }

  missed({ message }: MissedRecord): void {
    this.line(message);
  }

  notice({ message }: NoticeRecord): void {
    this.line(message);
  }

  epoch(record: EpochRecord, _totals: EvaluationTotals, ranks?: RanksRecord): void {
    this.options.view?.onEpoch(record, ranks);
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

  /** One line of news, above the view where there is one. */
  line(text: string): void {
    const line = `${printable(text)}\n`;
    if (this.options.view) process.stderr.write(line);
    else this.options.write(line);
  }

  /** Takes the view away; safe to call twice. */
  close(): void {
    this.options.view?.close();
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
