import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTrace, TraceFile } from '../../src/trace/trace-file.js';
import { now, SpanRecorder, type TraceSpan } from '../../src/trace/tracer.js';
import { needs } from '../needs.js';

/** Replaces an open file of this process by /dev/full. */
function fillDisk(file: string): void {
  const opened = readdirSync('/proc/self/fd').map(Number);
  const descriptor = opened.find((fd) => target(fd) === file) as number;
  closeSync(descriptor);
  const others: number[] = [];
  for (let fd = -1; fd !== descriptor;) others.push((fd = openSync('/dev/full', 'w')));
  for (const fd of others) if (fd !== descriptor) closeSync(fd);
}

function target(descriptor: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return undefined;
  }
}

describe('TraceFile', () => {
  let folder: string;
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const clock = { offset: 0, error: 0 };
  const unheard = (line: string) => expect(line).toBe('');
  const span = (name: string, thread: TraceSpan['thread'], start: number, end: number) => ({
    ...{ name, thread, start, end },
    details: { bytes: 8 },
  });
  const read = (file: string) =>
    JSON.parse(readFileSync(file, 'utf8')) as { traceEvents: Record<string, unknown>[]; otherData: unknown };

  it('aligns the spans of all ranks, and appears only when complete', () => {
    const file = join(folder, 'trace.json');
    const trace = TraceFile.open(file, unheard);
    const start = now();
    const far = 1e9;
    trace.add({ rank: 0, host: 'a', clock, spans: [span('forward', 'compute', start, start + 5)] });
    const away = { offset: -far, error: 3 };
    const [from, to] = [start + far, start + far + 5];
    trace.add({ rank: 1, host: 'b', clock: away, spans: [span('forward', 'compute', from, to)] });
    trace.add({ rank: 1, host: 'b', clock: away, spans: [span('bucket 2', 'buckets', from, to)] });
    expect(readdirSync(folder)).not.toContain('trace.json');
    trace.close();
    trace.close();
    expect(readdirSync(folder)).toEqual(['trace.json']);

    const { traceEvents, otherData } = read(file);
    const processes = traceEvents.filter(({ name }) => name === 'process_name');
    expect(processes.map(({ pid, args }) => [pid, args])).toEqual([
      [0, { name: 'rank 0 on a' }],
      [1, { name: 'rank 1 on b' }],
    ]);
    const [own, other] = traceEvents.filter(({ name }) => name === 'forward');
    expect(own).toMatchObject({ ph: 'X', pid: 0, tid: 0, args: { bytes: 8 } });
    expect(own.dur).toBeCloseTo(5, 2);
    expect(other.ts).toBeCloseTo(own.ts as number, 2);
    const bucket = traceEvents.filter(({ name }) => name === 'bucket 2');
    expect(bucket.map(({ ph, id, tid }) => [ph, id, tid])).toEqual([
      ['b', '1/bucket 2', 5],
      ['e', '1/bucket 2', 5],
    ]);
    expect(otherData).toMatchObject({ clocks: { 'rank 1': { errorMicroseconds: 3 } } });
  });

  it('writes nothing without spans, and keeps an existing file', () => {
    const file = join(folder, 'trace.json');
    const older = '{"displayTimeUnit":"ms","traceEvents":[\n]}';
    writeFileSync(file, older);
    TraceFile.open(file, unheard).close();
    expect(readdirSync(folder)).toEqual(['trace.json']);
    expect(readFileSync(file, 'utf8')).toBe(older);
  });

  it('replaces only an earlier trace or an empty file', () => {
    const file = join(folder, '.bashrc');
    const write = () => {
      const trace = TraceFile.open(file, unheard);
      trace.add({ rank: 0, host: 'a', clock, spans: [span('forward', 'compute', now(), now())] });
      trace.close();
      return read(file).traceEvents.length;
    };
    for (const text of ['export A=1', '{"displayTimeUnit":"ms"']) {
      writeFileSync(file, text);
      expect(write).toThrow(/\.bashrc: it holds something else than a trace; give --trace another file/);
      expect(readFileSync(file, 'utf8')).toBe(text);
    }
    writeFileSync(file, '');
    expect(write()).toBeGreaterThan(0);
    expect(write()).toBeGreaterThan(0);
    expect(readdirSync(folder)).toEqual(['.bashrc']);
  });

  it('rejects an unwritable file in one line', () => {
    mkdirSync(join(folder, 'taken'));
    writeFileSync(join(folder, 'file'), '');
    const open = (name: string) => () => openTrace(join(folder, name), { resumed: false, notify: unheard });
    expect(open('none/trace.json')).toThrow(
      /cannot write the trace .*trace\.json: its folder does not exist/,
    );
    expect(open('file/trace.json')).toThrow(/a part of the path is no folder/);
    expect(open('taken')).toThrow(/it is a folder, not a file/);
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    symlinkSync('/dev/null', join(folder, 'null'));
    expect(open('pipe')).toThrow(/it is a named pipe, not a file/);
    expect(open('null')).toThrow(/it is a device, not a file/);
    expect(readdirSync(folder).sort()).toEqual(['file', 'null', 'pipe', 'taken']);
    expect(openTrace(undefined, { resumed: true, notify: unheard })).toBeUndefined();
  });

  it('keeps the traces of earlier parts of a resumed run', () => {
    const file = join(folder, 'trace.json');
    const lines: string[] = [];
    const part = (resumed: boolean, name: string) => {
      const trace = openTrace(file, { resumed, notify: (line) => void lines.push(line) });
      trace?.add({ rank: 0, host: 'a', clock, spans: [span(name, 'compute', now(), now())] });
      trace?.close();
    };
    part(true, 'first');
    part(true, 'second');
    part(true, 'third');
    expect(readdirSync(folder).sort()).toEqual(['trace-2.json', 'trace-3.json', 'trace.json']);
    expect(lines).toEqual(
      [2, 3].map(
        (n) =>
          `the trace goes to ${join(folder, `trace-${n}.json`)}: ${file} holds an earlier part of the run`,
      ),
    );
    expect(read(file).traceEvents.some(({ name }) => name === 'first')).toBe(true);
    part(false, 'anew');
    expect(read(file).traceEvents.some(({ name }) => name === 'first')).toBe(false);
    expect(read(join(folder, 'trace-3.json')).traceEvents.some(({ name }) => name === 'third')).toBe(true);
  });

  it('gives up with one line if the disk is full', needs('/dev/full', existsSync('/dev/full')), () => {
    const file = join(folder, 'trace.json');
    const lines: string[] = [];
    const trace = TraceFile.open(file, (line) => lines.push(line));
    const [part] = readdirSync(folder);
    fillDisk(join(folder, part));
    for (const name of ['forward', 'backward'])
      trace.add({ rank: 0, host: 'a', clock, spans: [span(name, 'compute', now(), now())] });
    trace.close();
    expect(lines).toEqual([`the trace ${file} is given up: no space is left`]);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('SpanRecorder', () => {
  it('passes spans on in pieces, and the rest on flush', () => {
    const pieces: TraceSpan[][] = [];
    const recorder = new SpanRecorder((spans) => pieces.push(spans));
    for (let index = 0; index < 1000; index++) recorder.span('compute', `${index}`, recorder.now());
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(512);
    expect(pieces.length).toBeGreaterThan(0);
    recorder.flush();
    recorder.flush();
    expect(pieces.flat().map(({ name }) => name)).toEqual(Array.from({ length: 1000 }, (_, i) => `${i}`));
    for (const { start, end } of pieces.flat()) expect(end).toBeGreaterThanOrEqual(start);
  });
});
