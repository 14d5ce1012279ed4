import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { evaluationPasses } from '../../src/data/sampler.js';
import { paced, smallModel, until, Workplace, type Command } from './command.js';
import { freePort } from './free-port.js';
import { needs } from '../needs.js';

interface Event {
  name: string;
  ph: 'M' | 'X' | 'b' | 'e';
  pid: number;
  tid: number;
  id?: string;
  /** Microseconds. */
  ts: number;
  dur: number;
  args: { name?: string; collective?: number; bytes?: number };
}

interface Trace {
  traceEvents: Event[];
  otherData: { clocks: Record<string, { offsetMicroseconds: number; errorMicroseconds: number }> };
}

const [compute, communication, urgent, buckets] = [0, 1, 2, 5];
const small = ['--backend', 'wasm', '--set', smallModel];
const digits = [...small, '--epochs', '1', '--out', 'run'];
const steps = 15;

/** Largest rounding error of times, in microseconds. */
const rounding = 0.01;

/** Expects spans of a thread to be nested or disjoint. */
function expectNested(events: readonly Event[]): void {
  const threads = new Map<string, Event[]>();
  for (const event of events.filter(({ ph }) => ph === 'X')) {
    const key = `${event.pid}/${event.tid}`;
    threads.set(key, [...(threads.get(key) ?? []), event]);
  }
  for (const spans of threads.values()) {
    const open: Event[] = [];
    for (const span of spans.sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
      while (open.length > 0 && ended(open.at(-1) as Event) <= span.ts + rounding) open.pop();
      const around = open.at(-1);
      if (around)
        expect(ended(span), `${span.name} in ${around.name}`).toBeLessThanOrEqual(ended(around) + rounding);
      open.push(span);
    }
  }
}

/** Expects every collective to end on each rank after it has started on all, within `tolerance` microseconds. */
function expectTogether(events: readonly Event[], ranks: number, tolerance: number): void {
  const collectives = new Map<number, Event[]>();
  for (const event of events.filter(({ tid, ph }) => [communication, urgent].includes(tid) && ph === 'X')) {
    if (event.args.collective === undefined) continue;
    const number = event.args.collective as number;
    collectives.set(number, [...(collectives.get(number) ?? []), event]);
  }
  expect(collectives.size).toBeGreaterThan(3 * steps);
  for (const [number, spans] of collectives) {
    expect(spans.map(({ pid }) => pid).sort(), `collective ${number}`).toEqual([...Array(ranks).keys()]);
    expect(new Set(spans.map(({ name, args }) => `${name} ${args.bytes}`)).size).toBe(1);
    const latest = Math.max(...spans.map(({ ts }) => ts));
    expect(Math.min(...spans.map(ended)), spans[0].name).toBeGreaterThan(latest - tolerance);
  }
}

function ended({ ts, dur }: Event): number {
  return ts + dur;
}

function count(events: readonly Event[], rank: number, tid: number, name: RegExp): number {
  return events.filter((event) => event.pid === rank && event.tid === tid && name.test(event.name)).length;
}

/** Whether this machine can give a process its own monotonic clock, as on another host. */
function canShiftClock(): boolean {
  try {
    execFileSync('unshare', ['--time', '--monotonic', '1000', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('launch --trace', () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  /** Starts a traced run and waits for its first epoch. */
  const training = async (workers: string): Promise<Command> => {
    const args = ['--workers', workers, ...small, '--epochs', '500', '--out', 'run'];
    const command = place.start(['launch', ...args, '--trace', 'trace.json'], paced(20));
    await until('an epoch', () => (place.epochs('run') > 0 ? true : undefined));
    return command;
  };

  const read = (): Trace => JSON.parse(readFileSync(place.path('trace.json'), 'utf8')) as Trace;

  it.each(['on', 'off'])(
    'records the spans of every thread of every rank, with overlap %s',
    async (overlap) => {
      const set = ['--set', `distributed.overlap=${overlap}`];
      const ended = await place.run('launch', '--workers', '2', ...digits, ...set, '--trace', 'trace.json');
      const [sums, updates] = overlap === 'on' ? [communication, communication] : [urgent, compute];
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      const { traceEvents, otherData } = read();
      for (const rank of [0, 1]) {
        for (const name of [/^step$/, /^forward$/, /^backward$/, /^update$/])
          expect(count(traceEvents, rank, compute, name), `${name}`).toBe(steps);
        expect(count(traceEvents, rank, compute, /^load weights$/)).toBeGreaterThanOrEqual(steps);
        expect(count(traceEvents, rank, compute, /^loader$/)).toBe(
          steps + evaluationPasses(360, rank, 2, 256).length,
        );
        expect(count(traceEvents, rank, compute, /^evaluation$/)).toBe(1);
        expect(count(traceEvents, rank, compute, /^checkpoint$/)).toBe(1);
        expect(count(traceEvents, rank, compute, /^waiting$/)).toBeGreaterThanOrEqual(steps);
        expect(count(traceEvents, rank, sums, /^reduceScatter gradients\/0$/)).toBe(steps);
        expect(count(traceEvents, rank, updates, /^update weights\/0$/)).toBe(steps);
        expect(count(traceEvents, rank, sums, /^allGather weights\/0$/)).toBe(steps);
        expect(count(traceEvents, rank, urgent, /^(allReduce gram|allGather residuals)/)).toBe(steps);
        expect(count(traceEvents, rank, buckets, /^bucket 0$/)).toBe(2 * steps);
        const named = traceEvents.filter(({ pid, ph, args }) => pid === rank && ph === 'M' && args.name);
        expect(named.map(({ args }) => args.name)).toEqual([
          expect.stringMatching(new RegExp(`^rank ${rank} on `)) as string,
          ...['compute', 'communication', 'urgent communication', 'communication 2', 'communication 3'],
          ...['buckets', 'incidents'],
        ]);
      }
      expectNested(traceEvents);
      expectTogether(traceEvents, 2, rounding);
      expect(otherData.clocks['rank 1']).toEqual({ offsetMicroseconds: 0, errorMicroseconds: 0 });
      expect(readdirSync(place.folder).sort()).toEqual(['run', 'trace.json']);
    },
  );

  it('writes a complete file after SIGINT, with one worker', async () => {
    const command = await training('1');
    command.child.kill('SIGINT');
    expect((await command.ended).code).toBe(130);
    const { traceEvents } = read();
    for (const name of [/^forward$/, /^backward$/, /^update$/, /^loader$/])
      expect(count(traceEvents, 0, compute, name)).toBeGreaterThanOrEqual(steps);
    expectNested(traceEvents);
    expect(readdirSync(place.folder).sort()).toEqual(['run', 'trace.json']);
  });

  it.each(['1', '2'])('writes a new file when a run with %s workers is resumed', async (workers) => {
    const args = ['launch', '--workers', workers, ...small, '--out', 'run'];
    const first = await place.run(...args, '--epochs', '1', '--trace', 'trace.json');
    expect(first, first.stderr).toMatchObject({ code: 0 });
    const before = readFileSync(place.path('trace.json'));
    const resume = ['launch', '--resume', '--out', 'run', '--epochs'];
    const resumed = await place.run(...resume, '2', '--trace', 'trace.json');
    expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
    expect(resumed.stderr).toContain('the trace goes to trace-2.json: trace.json holds an earlier part');
    expect(readFileSync(place.path('trace.json')).equals(before)).toBe(true);
    const { traceEvents } = JSON.parse(readFileSync(place.path('trace-2.json'), 'utf8')) as Trace;
    expect(count(traceEvents, 0, compute, /^step$/)).toBe(steps);
  });

  it('writes a complete file after a worker is killed', async () => {
    const command = await training('2');
    process.kill(await command.worker(1), 'SIGKILL');
    expect((await command.ended).code).toBe(1);
    const { traceEvents } = read();
    for (const rank of [0, 1]) expect(count(traceEvents, rank, compute, /^backward$/)).toBeGreaterThan(0);
    expectNested(traceEvents);
    expect(readdirSync(place.folder).sort()).toEqual(['run', 'trace.json']);
  });

  it.each(['1', '2'])('rejects an unwritable file before training, with %s workers', async (workers) => {
    const args = ['--workers', workers, ...digits, '--trace', 'nowhere/trace.json'];
    const { code, stderr } = await place.run('launch', ...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^pod-dist: cannot write the trace nowhere\/trace\.json: its folder does not exist.*\n$/,
    );
    expect(existsSync(place.path('run', 'metrics.jsonl'))).toBe(false);
  });

  it(
    'aligns the times of ranks whose clocks start at different times',
    needs('time namespaces', canShiftClock()),
    async () => {
      const job = { WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(await freePort()) };
      const start = (rank: number, within: readonly string[]) => {
        const variables = { RANK: String(rank), LOCAL_RANK: String(rank), ...job };
        return place.start(['worker', ...digits, '--trace', 'trace.json'], variables, within).ended;
      };
      const all = await Promise.all([start(0, []), start(1, ['unshare', '--time', '--monotonic', '1000'])]);
      expect(
        all.map(({ code }) => code),
        all.map(({ stderr }) => stderr).join(),
      ).toEqual([0, 0]);
      const { traceEvents, otherData } = read();
      const { offsetMicroseconds, errorMicroseconds } = otherData.clocks['rank 1'];
      expect(errorMicroseconds).toBeGreaterThan(0);
      expect(Math.abs(offsetMicroseconds + 1e9)).toBeLessThanOrEqual(errorMicroseconds);
      expectTogether(traceEvents, 2, 50_000);
    },
  );
});
