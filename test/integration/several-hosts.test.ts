import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readJobState, type JobState } from '../../src/record/job-state.js';
import { asFlags, fewSteps, paced, until, Workplace, type Command } from './command.js';
import { Hosts } from './hosts.js';
import { long, needs } from '../needs.js';

const epochsOfRun = 16;
const settings = [
  '--backend',
  'wasm',
  '--bitwise',
  '2',
  ...asFlags(fewSteps),
  '--epochs',
  String(epochsOfRun),
];
const everywhere = ['--set', 'distributed.host=0.0.0.0'];

let weights: string;
let record: string[];
let place: Workplace;
let hosts: Hosts;

describe('an elastic run over several hosts', needs('namespaces of hosts', Hosts.possible()), () => {
  beforeAll(async () => {
    place = new Workplace();
    await place.train(1, ['distributed.bitwise=2', ...fewSteps, `epochs=${epochsOfRun}`], { out: 'run' });
    weights = place.report('run').weightsSha256;
    record = lines();
    await place.clear();
  }, 120_000);
  beforeEach(async () => {
    place = new Workplace();
    hosts = await Hosts.make(2);
  });
  afterEach(async () => {
    hosts.remove();
    await place.clear();
  });

  /** The record without its times. */
  function lines(): string[] {
    const times = new Set(['samplesPerSecond', 'exposedMs', 'seconds', 'exposedShare']);
    const { steps, epochs } = place.metrics('run');
    return [...steps, ...epochs].map((line) =>
      JSON.stringify(line, (key, value: unknown) => (times.has(key) ? undefined : value)),
    );
  }

  const on = (host: number, ...args: string[]) =>
    place.start(args, paced(260), hosts.within(host, place.folder));
  const state = () => readJobState(place.path('run')) as JobState;
  const epochs = (count: number) =>
    until(`${count} epochs`, () => (place.epochs('run') >= count ? true : undefined));
  const report = () =>
    until('the report', () => (existsSync(place.path('run/report.json')) ? true : undefined), 90_000);
  const causes = () =>
    readFileSync(place.path('run/job/incidents.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { cause: string }).cause);

  /** A run with rank 0 on the first host and rank 1 on the second. */
  async function overTwo(): Promise<{ launcher: Command; guest: Command }> {
    const launcher = on(
      0,
      'launch',
      ...settings,
      '--workers',
      '1',
      '--out',
      'run',
      '--elastic',
      ...everywhere,
    );
    await epochs(1);
    const guest = on(1, 'join', 'run');
    await until('a spare', () => (state().spares.length === 1 ? true : undefined));
    await on(0, 'resize', 'run', '--workers', '2').ended;
    await until('two ranks', () => (state().ranks.length === 2 ? true : undefined));
    expect(new Set(state().ranks.map(({ host }) => host)).size).toBe(2);
    return { launcher, guest };
  }

  function expectUndisturbed(): void {
    expect(place.report('run').weightsSha256).toBe(weights);
    expect(lines()).toEqual(record);
  }

  it('accepts a worker of another host, and continues when that worker is lost', long, async () => {
    const { launcher } = await overTwo();
    hosts.lose(1);
    await launcher.says(/rank 1 on host .*; [12] workers? goe?s? on after/);
    const ended = await launcher.ended;
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expectUndisturbed();
  });

  it("ends with the same weights and record when the coordinator's host is lost", async () => {
    await overTwo();
    hosts.lose(0);
    const before = place.epochs('run');
    await until('a new term', () => (state().term === 1 ? true : undefined));
    await epochs(before + 2);
    const { agent, ranks } = state();
    expect(new Set([agent.host, ...ranks.map(({ host }) => host)]).size).toBe(1);
    await report();
    expectUndisturbed();
    expect(causes()).toContain('the process of the coordinator was lost');
    expect(state().ended).toBeUndefined();
  });
});
