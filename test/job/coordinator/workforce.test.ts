import { beforeEach, describe, expect, it } from 'vitest';
import { Roster } from '../../../src/job/coordinator/roster.js';
import { Workforce } from '../../../src/job/coordinator/workforce.js';
import type { ElasticOptions } from '../../../src/job/coordinator/reform.js';
import { protocolVersion } from '../../../src/job/control/protocol.js';
import { runningClock } from '../../../src/util/running-clock.js';

let roster: Roster;
let workforce: Workforce;
let started: number[];
let ended: number[];

beforeEach(() => {
  started = [];
  ended = [];
  roster = new Roster({ worldSize: 2, stallTimeoutMs: 60_000, spares: true });
  const options: ElasticOptions = {
    sizes: [2],
    spares: 0,
    faultsPerWorkerHour: 10,
    silentMs: 5000,
    startWorker: () => started[started.push(10 + started.length) - 1],
    endWorker: (worker) => void ended.push(worker),
    onIncident: () => {},
  };
  workforce = new Workforce(roster, options);
});

/** A worker joins, as a spare. */
function join(worker: number) {
  const about = { worldSize: 2, digest: 'config', host: 'here', machine: 'this one', pid: worker };
  const connection = Buffer.from([worker]).toString('hex') as never;
  expect(
    roster.admit(connection, { type: 'hello', version: protocolVersion, worker, ...about } as never),
  ).toBe(undefined);
  const member = roster.ofWorker(worker)!;
  workforce.arrived(member);
  return member;
}

describe('Workforce', () => {
  it('ends a started worker that does not join, once', () => {
    workforce.start(3);
    join(11);
    expect(workforce.endedOutside(12)).toBe('unknown');
    const now = runningClock.now();
    workforce.endUnjoined(now, 30_000);
    expect(ended).toEqual([]);
    workforce.endUnjoined(now + 30_001, 30_000);
    workforce.endUnjoined(now + 60_000, 30_000);
    expect(ended).toEqual([10]);
    expect(workforce.endedOutside(10)).toBe('unknown');
    expect(workforce.endedOutside(10)).toBe('known');
  });

  it('starts a worker in place of a removed one', () => {
    const member = join(20);
    workforce.takeOut(member);
    expect(started).toEqual([10]);
    expect(roster.everybody).toEqual([]);
    expect(workforce.endedOutside(20)).toBe('known');
  });

  it('dismisses the newest of its own surplus workers, and none that others started', () => {
    for (const worker of [0, 1, 5, 6, 1_000_000]) join(worker);
    workforce.dismissSurplus(3);
    expect(ended).toEqual([6]);
    expect(workforce.candidates().map(({ worker }) => worker)).toEqual([0, 1, 5, 1_000_000]);
  });
});
