import { statSync } from 'node:fs';
import { join } from 'node:path';
import { evaluationSchema } from '../evaluation/schema.js';
import type { EpochRecord, RanksRecord, Report, StepRecord } from '../record/records.js';
import { readRegularText } from '../util/regular-file.js';
import { LineFile, type Lines } from './line-file.js';
import { beginning, type Place } from './place.js';
import { secondsOf } from './scalars.js';
import type { IncidentEntry, LogEntry, LoggedRun, LogRecord } from './sink.js';

/** Entries, and where the reader is after them. */
export interface Batch {
  entries: LogEntry[];
  place: Place;
}

const mostBytes = 500_000_000;

/**
 * Reads what a run has come to from its folder, from a place on.
 *
 * `metrics.jsonl` is written before anything else hears of a step, it has no step twice, and it outlives every process. So
 * nothing is kept in memory for a sink that is slow or away, and nothing is lost with a process: it is read again.
 *
 * Lines have no times. The last line is as old as the file's last change, each step before it as much older as the steps
 * after it took; pauses before the reader began are not seen.
 */
export class RunReader {
  private readonly metrics: LineFile;
  private readonly incidents: LineFile;
  private place: Place;
  private incidentsToSkip: number;
  /** Lines that were read together with those to skip. */
  private pending: Lines | undefined;

  /** Where the record is shorter than `from`, as after a resume from an earlier checkpoint, its end is the place. */
  constructor(
    private readonly run: LoggedRun,
    from: Place,
  ) {
    this.metrics = new LineFile(join(run.folder, 'metrics.jsonl'));
    this.incidents = new LineFile(join(run.folder, 'job', 'incidents.jsonl'));
    this.incidentsToSkip = from.incidents;
    this.place = from.lines === 0 ? { ...from, lines: 0, steps: 0 } : this.skip(from);
  }

  /** Where the next entries begin. */
  get at(): Place {
    return this.place;
  }

  /** The next entries; none where there is nothing new. */
  next(): Batch {
    const { lines, changed } = this.pending ?? this.metrics.next();
    this.pending = undefined;
    const entries = lines.length > 0 ? this.timed(lines, changed) : this.others();
    return { entries, place: this.place };
  }

  close(): void {
    this.metrics.close();
    this.incidents.close();
  }

  private skip(from: Place): Place {
    let { lines, steps } = beginning;
    while (lines < from.lines) {
      const { lines: found, changed } = this.metrics.next();
      if (found.length === 0) break;
      const skipped = found.slice(0, from.lines - lines);
      lines += skipped.length;
      steps += skipped.filter((line) => parse(line)?.kind === 'step').length;
      if (skipped.length < found.length) this.pending = { lines: found.slice(skipped.length), changed };
    }
    return { ...from, lines, steps };
  }

  private timed(lines: readonly string[], changed: number): LogEntry[] {
    const records = lines.map(parse);
    const took = records.map((record) => (record?.kind === 'step' ? 1000 * secondsOf(record, this.run) : 0));
    let left = took.reduce((sum, ms) => sum + ms, 0);
    const entries: LogEntry[] = [];
    let { steps, time } = this.place;
    for (const [index, record] of records.entries()) {
      left -= took[index] ?? 0;
      time = Math.max(time, changed - left);
      if (record?.kind === 'step') steps = record.step + 1;
      if (record) entries.push({ record, time, at: Math.max(0, steps - 1) });
    }
    this.place = { ...this.place, lines: this.place.lines + lines.length, steps, time };
    return entries;
  }

  /** What is not in `metrics.jsonl`; read once its end is reached. */
  private others(): LogEntry[] {
    const at = Math.max(0, this.place.steps - 1);
    const entries: LogEntry[] = [];
    const { lines } = this.incidents.next();
    const skipped = Math.min(this.incidentsToSkip, lines.length);
    this.incidentsToSkip -= skipped;
    for (const line of lines.slice(skipped)) {
      const { time, ...incident } = JSON.parse(line) as { time: string };
      const record = { ...incident, kind: 'incident' } as IncidentEntry;
      entries.push({ record, time: Date.parse(time), at });
    }
    this.place = { ...this.place, incidents: this.place.incidents + lines.length - skipped };
    const add = (record: LogRecord, time: number) => void entries.push({ record, time, at });
    const evaluation = this.changed('evaluation.json', this.place.evaluation);
    if (evaluation) {
      this.place = { ...this.place, evaluation: evaluation.time };
      const read = evaluationSchema.safeParse(JSON.parse(evaluation.text));
      if (read.success) add({ kind: 'evaluation', evaluation: read.data }, evaluation.time);
    }
    const report = this.changed('report.json', this.place.report);
    if (report) {
      this.place = { ...this.place, report: report.time };
      add({ kind: 'report', report: JSON.parse(report.text) as Report }, report.time);
    }
    return entries;
  }

  /** A file that has been written since; these are written whole. */
  private changed(name: string, since: number): { text: string; time: number } | undefined {
    const file = join(this.run.folder, name);
    const time = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? since;
    return time === since ? undefined : { text: readRegularText(file, { mostBytes }), time };
  }
}

/** A record of `metrics.jsonl`; undefined for a line that holds none. */
function parse(line: string): StepRecord | EpochRecord | RanksRecord | undefined {
  try {
    return JSON.parse(line) as StepRecord | EpochRecord | RanksRecord;
  } catch {
    return undefined;
  }
}
