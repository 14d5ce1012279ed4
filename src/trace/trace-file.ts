import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { parse } from 'node:path';
import { UserError } from '../util/errors.js';
import { kindOfEntry, openRegular, reasonOf } from '../util/regular-file.js';
import type { ClockEstimate } from './clock-offset.js';
import { now, traceThreads, type TraceSpan } from './tracer.js';

/** Spans of one rank, and its clock against that of the process which writes the file. */
export interface TracePart {
  rank: number;
  host: string;
  spans: readonly TraceSpan[];
  clock: ClockEstimate;
}

/**
 * First bytes of a trace. A file that holds anything else is not overwritten: the recipe that names it may be somebody
 * else's.
 */
const beginning = '{"displayTimeUnit":"ms","traceEvents":[\n';

/**
 * A trace in Chrome's Trace Event Format, which chrome://tracing and ui.perfetto.dev open: a process a rank, on the
 * clock of the process that writes it.
 *
 * Spans go to a temporary file beside it as they come; `close` ends it and renames it, after a failure as well.
 * Buckets become asynchronous events, a row each, since one is full before the one before it is applied.
 */
export class TraceFile {
  private readonly began = now();
  private readonly clocks = new Map<number, ClockEstimate>();
  private descriptor: number | undefined;
  private entries = 0;

  private constructor(
    readonly file: string,
    private readonly temporary: string,
    private readonly notify: (line: string) => void,
  ) {
    this.descriptor = openSync(temporary, 'wx');
  }

  /**
   * `notify` is called with one line when the file can no longer be written; the run continues without it.
   *
   * @throws UserError `TRACE_FILE_INVALID` where the file cannot be written
   */
  static open(file: string, notify: (line: string) => void): TraceFile {
    try {
      const there = statSync(file, { throwIfNoEntry: false });
      if (there && !there.isFile()) throw new Error(`it is ${kindOfEntry(there)}, not a file`);
      if (there && there.size > 0 && !isTrace(file)) throw new Error('it holds something else than a trace');
      return new TraceFile(file, `${file}.${randomBytes(4).toString('hex')}.part`, notify);
    } catch (error) {
      throw new UserError(
        'TRACE_FILE_INVALID',
        `cannot write the trace ${file}: ${whyNot(error)}; give --trace another file`,
      );
    }
  }

  add({ rank, host, spans, clock }: TracePart): void {
    if (this.descriptor === undefined || spans.length === 0) return;
    const names = this.clocks.has(rank) ? [] : namesOf(rank, host);
    const events = names.concat(spans.flatMap((span) => toEvents(rank, span, clock.offset - this.began)));
    this.clocks.set(rank, clock);
    const before = this.entries === 0 ? beginning : ',\n';
    this.entries += events.length;
    try {
      this.write(before + events.map((event) => JSON.stringify(event)).join(',\n'));
    } catch (error) {
      this.drop();
      this.notify(`the trace ${this.file} is given up: ${reasonOf(error)}`);
    }
  }

  /** Ends the file and renames it to its place; without any span no file is made. Safe to call twice. */
  close(): void {
    if (this.descriptor === undefined) return;
    if (this.entries === 0) return this.drop();
    const clocks = Object.fromEntries(
      [...this.clocks].map(([rank, { offset, error }]) => [
        `rank ${rank}`,
        { offsetMicroseconds: offset, errorMicroseconds: error },
      ]),
    );
    try {
      this.write(`\n],"otherData":${JSON.stringify({ clocks })}}\n`);
      fsyncSync(this.descriptor);
      closeSync(this.descriptor);
      this.descriptor = undefined;
      renameSync(this.temporary, this.file);
    } catch (error) {
      this.drop();
      this.notify(`the trace ${this.file} could not be written: ${reasonOf(error)}`);
    }
  }

  private write(text: string): void {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length;) done += writeSync(this.descriptor as number, bytes, done);
  }

  private drop(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor);
    this.descriptor = undefined;
    rmSync(this.temporary, { force: true });
  }
}

export interface TraceOptions {
  /** Whether the run goes on from a checkpoint: the file may then hold the trace of the epochs before. */
  resumed: boolean;
  /** Called with one line when another file name is used, and when the file can no longer be written. */
  notify(line: string): void;
}

/**
 * The trace of a run, where its configuration names a file for one. A resumed run leaves the traces of its earlier
 * parts alone: `trace.json` is followed by `trace-2.json`, `trace-3.json` and so on.
 *
 * @throws UserError `TRACE_FILE_INVALID` where the file cannot be written
 */
export function openTrace(
  file: string | undefined,
  { resumed, notify }: TraceOptions,
): TraceFile | undefined {
  if (file === undefined) return undefined;
  const part = resumed ? nextPart(file) : file;
  const trace = TraceFile.open(part, notify);
  if (part !== file) notify(`the trace goes to ${part}: ${file} holds an earlier part of the run`);
  return trace;
}

function isTrace(file: string): boolean {
  const { descriptor } = openRegular(file);
  try {
    const bytes = Buffer.alloc(beginning.length);
    return bytes.toString('latin1', 0, readSync(descriptor, bytes)) === beginning;
  } finally {
    closeSync(descriptor);
  }
}

/** The first name that no file has. */
function nextPart(file: string): string {
  const { base, name, ext } = parse(file);
  const start = file.slice(0, file.length - base.length);
  let part = file;
  for (let number = 2; statSync(part, { throwIfNoEntry: false })?.isFile(); number++)
    part = `${start}${name}-${number}${ext}`;
  return part;
}

function namesOf(rank: number, host: string): object[] {
  const about = { ph: 'M', pid: rank };
  return [
    { ...about, name: 'process_name', args: { name: `rank ${rank} on ${host}` } },
    { ...about, name: 'process_sort_index', args: { sort_index: rank } },
    ...traceThreads.flatMap((name, tid) => [
      { ...about, tid, name: 'thread_name', args: { name } },
      { ...about, tid, name: 'thread_sort_index', args: { sort_index: tid } },
    ]),
  ];
}

function toEvents(rank: number, { name, thread, start, end, details }: TraceSpan, shift: number): object[] {
  const ts = nanosecond(start + shift);
  const until = nanosecond(end + shift);
  const about = { name, cat: thread, pid: rank, tid: traceThreads.indexOf(thread), ts };
  if (thread !== 'buckets') return [{ ...about, ph: 'X', dur: nanosecond(until - ts), args: details }];
  const id = `${rank}/${name}`;
  return [
    { ...about, ph: 'b', id, args: details },
    { ...about, ph: 'e', id, ts: until },
  ];
}

function whyNot(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' ? 'its folder does not exist' : reasonOf(error);
}

function nanosecond(microseconds: number): number {
  return Math.round(microseconds * 1000) / 1000;
}
