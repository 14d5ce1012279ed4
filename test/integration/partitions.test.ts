import { existsSync, readdirSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readJobState, type JobState } from '../../src/record/job-state.js';
import { isLock } from '../../src/record/run-lock.js';
import { paced, until, Workplace, type Command } from './command.js';
import { Hosts } from './hosts.js';
import { long, needs } from '../needs.js';

const settings = ['--backend', 'wasm', '--bitwise', '4', '--epochs', '500'];
const everywhere = ['--set', 'distributed.host=0.0.0.0'];
/** Number of epochs whose losses are compared with those of an undisturbed run. */
const compared = 6;

/** The first host has the launcher, the coordinator and two workers; the others have one each. */
describe(
  'an elastic run whose network is partitioned',
  needs('namespaces of hosts', Hosts.possible()),
  () => {
    let place: Workplace;
    let hosts: Hosts;
    let launcher: Command;
    let guests: Command[];
    let losses: number[];

    beforeAll(async () => {
      const alone = new Workplace();
      await alone.run('launch', ...settings.slice(0, -1), String(compared), '--workers', '2', '--out', 'run');
      losses = lossesOf(alone);
      await alone.clear();
    }, 120_000);
    beforeEach(async () => {
      place = new Workplace();
      hosts = await Hosts.make(3);
      launcher = on(0, 'launch', ...settings, '--workers', '2', '--out', 'run', '--elastic', ...everywhere);
      await until('a step', () => (place.made('run') > 0 ? true : undefined));
      guests = [1, 2].map((host) => on(host, 'join', 'run'));
      await until('two spares', () => (state().spares.length === 2 ? true : undefined));
      await on(0, 'resize', 'run', '--workers', '4').ended;
      await until('four ranks', () => (state().ranks.length === 4 ? true : undefined));
      expect(hostsOfRanks()).toHaveLength(3);
    });
    afterEach(async () => {
      hosts.remove();
      await place.clear();
    });

    const on = (host: number, ...args: string[]) =>
      place.start(args, paced(30), hosts.within(host, place.folder));
    const state = () => readJobState(place.path('run')) as JobState;
    const hostsOfRanks = () => [...new Set(state().ranks.map(({ host }) => host))];
    const lossesOf = (of: Workplace) => of.metrics('run').steps.map(({ loss }) => loss);
    const goneOn = (after: number) =>
      until('a later generation', () => (state().generation > after ? true : undefined), 180_000);

    /** Expects one lock on the run folder and the record of an undisturbed run. */
    async function expectOne(): Promise<void> {
      await until('the epochs', () => (place.epochs('run') > compared ? true : undefined), 90_000);
      expect(readdirSync(place.path('run')).filter(isLock)).toHaveLength(1);
      expect(lossesOf(place).slice(0, losses.length)).toEqual(losses);
      const steps = place.metrics('run').steps.map(({ step }) => step);
      expect(steps).toEqual(steps.map((_, index) => index));
    }

    /** Stops the run and waits for the launcher to end. */
    async function ends(): Promise<void> {
      await on(0, 'stop', 'run', '--now').ended;
      await launcher.ended;
      expect(existsSync(place.path('run/report.json'))).toBe(false);
    }

    async function leavesOneOut(cuts: readonly [from: number, to: number][]): Promise<void> {
      const before = state();
      for (const [from, to] of cuts) hosts.cut(from, to);
      await until(
        'a group without one of them',
        () => (hostsOfRanks().length === 2 ? true : undefined),
        60_000,
      );
      expect(state()).toMatchObject({ term: before.term, agent: before.agent });
      expect(hostsOfRanks()).toContain(before.agent.host);
      await until('the one that waits', () => (state().spares.length === 1 ? true : undefined));
      for (const [from, to] of cuts) hosts.heal(from, to);
      await expectOne();
      await ends();
    }

    it('removes one of two ranks that cannot reach each other in one direction; it waits as a spare', () =>
      leavesOneOut([[1, 2]]));

    it(
      'removes one of two ranks that cannot reach each other in both directions; it waits as a spare',
      long,
      () =>
        leavesOneOut([
          [1, 2],
          [2, 1],
        ]),
    );

    it('removes a rank that cannot reach the coordinator; later it is a spare, or ends', long, async () => {
      const { generation, term } = state();
      hosts.cut(0, 2);
      await goneOn(generation);
      await until('a group without it', () => (hostsOfRanks().length === 2 ? true : undefined), 180_000);
      hosts.heal(0, 2);
      const isBack = () =>
        state().spares.length === 1 || guests[1].child.exitCode !== null ? true : undefined;
      await until('the one that comes back', isBack, 180_000);
      expect(state().term).toBe(term);
      await expectOne();
      await ends();
    });

    it(
      "continues on the coordinator's host alone when it is cut off; the other workers later are spares, or end",
      long,
      async () => {
        const { generation, term, agent } = state();
        hosts.unplug(0);
        await goneOn(generation);
        await until('a group of one host', () => (hostsOfRanks().length === 1 ? true : undefined), 180_000);
        await expectOne();
        expect(state()).toMatchObject({ term, agent });
        hosts.plug(0);
        const out = () => guests.filter(({ child }) => child.exitCode !== null).length;
        const areBack = () => (state().spares.length + out() === 2 ? true : undefined);
        await until('those that come back', areBack, 180_000);
        await ends();
      },
    );

    it('takes the run from a coordinator that was stopped, which ends when it continues', long, async () => {
      const { agent, ranks } = state();
      hosts.unplug(0);
      const asleep = [agent.pid, ...ranks.filter(({ host }) => host === agent.host).map(({ pid }) => pid)];
      for (const pid of asleep) hosts.kill(0, pid, 'STOP');
      await until('a new term', () => (state().term === 1 ? true : undefined), 180_000);
      await until('ranks', () => (state().ranks.length === 4 ? true : undefined), 180_000);
      const made = place.made('run');
      for (const pid of asleep) hosts.kill(0, pid, 'CONT');
      hosts.plug(0);
      await until('the end of the old one', () => (hosts.runs(0, agent.pid) ? undefined : true));
      await until('further steps', () => (place.made('run') > made + 10 ? true : undefined), 180_000);
      expect(state()).toMatchObject({ term: 1 });
      expect(state().ended).toBeUndefined();
      expect(state().agent.host).not.toBe(agent.host);
      await expectOne();
      const ended = await launcher.ended;
      expect(ended).toMatchObject({
        code: 1,
        lastLine: expect.stringContaining('the run goes on on host') as string,
      });
    });
  },
);
