import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { paced, smallModel, until, Workplace, type Ended } from './command.js';
import { long } from '../needs.js';

/** Steps and epochs of a run's record without their times. */
function recordOf(place: Workplace, run: string) {
  const { steps, epochs } = place.metrics(run);
  return {
    steps: steps.map(({ samplesPerSecond: _s, exposedMs: _e, ...rest }) => rest),
    epochs: epochs.map(({ seconds: _s, exposedShare: _e, ...rest }) => rest),
  };
}

/** Starts a run, or goes on with it, and asks for its end once it has made a step. */
async function endedBy(place: Workplace, how: string, args: readonly string[], run: string): Promise<Ended> {
  const launch = ['launch', ...args, '--resume', '--out', run];
  if (how.startsWith('--max-time')) return place.start([...launch, ...how.split(' ')], paced(20)).ended;
  const before = place.made(run);
  const command = place.start(launch, paced(20));
  await until('a step', () => place.made(run) > before || undefined);
  command.child.kill(how as NodeJS.Signals);
  // As a launcher that passes the signal on to processes that had it already.
  command.child.kill(how as NodeJS.Signals);
  return command.ended;
}

describe('a run that is ended five times, with other numbers of workers', () => {
  const place = new Workplace();
  const steps = 'checkpoint.every=40 steps';
  const recipe = [
    '--backend',
    'wasm',
    '--epochs',
    '8',
    '--bitwise',
    '4',
    '--set',
    steps,
    '--set',
    smallModel,
  ];
  const workers = (count: number) => [...recipe, '--workers', String(count)];
  const ended: Ended[] = [];
  beforeAll(async () => {
    await place.train(2, ['distributed.bitwise=4', 'epochs=8', steps, smallModel], { out: 'whole' });
    const ways = ['SIGTERM', 'SIGUSR1', '--max-time 1s', 'SIGTERM', 'SIGUSR1'];
    for (const [index, count] of [4, 1, 2, 1, 4].entries())
      ended.push(await endedBy(place, ways[index], workers(count), 'broken'));
    const last = await place.run('launch', ...workers(2), '--resume', '--out', 'broken');
    expect(last, last.stderr).toMatchObject({ code: 0 });
  }, 180_000);
  afterAll(() => place.clear());

  it('ends each time with exit code 75, and a line that names the checkpoint and how to go on', () => {
    expect(ended.map(({ code }) => code)).toEqual([75, 75, 75, 75, 75]);
    for (const { lastLine } of ended)
      expect(lastLine).toMatch(
        /^pod-dist: ended by (?:SIGTERM|SIGUSR1|--max-time) with the checkpoint (?:step-\d{8}|epoch-\d{4}); --resume --out \S+ goes on from it \(see pod-dist explain PREEMPTED\)$/,
      );
    expect(place.leftovers()).toEqual([]);
  });

  it('ends with the weights, record and evaluation of an uninterrupted run, bit for bit', () => {
    expect(place.report('broken').weightsSha256).toBe(place.report('whole').weightsSha256);
    expect(recordOf(place, 'broken')).toEqual(recordOf(place, 'whole'));
    expect(place.evaluation('broken')).toEqual(place.evaluation('whole'));
  });
});

describe('a run of three workers with bf16 on the wire that is ended', () => {
  const place = new Workplace();
  const wire = ['wire=bf16', 'bucketBytes=2000', 'overlap=on'].map((setting) => `distributed.${setting}`);
  const own = [smallModel, ...wire];
  const flags = own.flatMap((setting) => ['--set', setting]);
  const recipe = ['--backend', 'wasm', '--workers', '3', '--epochs', '3', ...flags];
  afterAll(() => place.clear());

  it(
    'resumes with the rounding residuals of each worker, to the bits of an uninterrupted run',
    long,
    async () => {
      await place.train(3, ['epochs=3', ...own], { out: 'whole' });
      expect(await endedBy(place, 'SIGTERM', recipe, 'broken')).toMatchObject({ code: 75 });
      expect(place.checkpoints('broken').some((name) => name.startsWith('step-'))).toBe(true);
      const last = await place.run('launch', ...recipe, '--resume', '--out', 'broken');
      expect(last, last.stderr).toMatchObject({ code: 0 });
      expect(place.report('broken').weightsSha256).toBe(place.report('whole').weightsSha256);
      expect(recordOf(place, 'broken')).toEqual(recordOf(place, 'whole'));
    },
  );
});
