import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { soonMs, cli, paced, smallModel, until, Workplace } from '../integration/command.js';
import { SlurmCluster, whyNoSlurm } from './slurm-cluster.js';
import { findProgram, starters, workersOf } from './starters.js';
import { long, needs } from '../needs.js';
import { messageOf } from '../../src/util/errors.js';

const settings = ['--backend', 'wasm', '--bitwise', '4', '--set', smallModel];
/** The same for a shell. */
const quoted = settings.map((setting) => `'${setting}'`).join(' ');
/** A run that has to last leaves the processor to others. */
const pace = paced(40);
const noSlurm = whyNoSlurm();
const patienceMs = 120_000;

let place: Workplace;
let cluster: SlurmCluster | undefined;
let environment: NodeJS.ProcessEnv;
/** SHA-256 of the weights after one epoch, and after eight. */
let weights: string;
let longer: string;

beforeAll(async () => {
  const reference = new Workplace();
  if (noSlurm === undefined) cluster = await SlurmCluster.start(pace);
  const trained = async (epochs: number) => {
    const out = String(epochs);
    await reference.train(2, ['distributed.bitwise=4', smallModel, `epochs=${epochs}`], { out });
    return reference.report(out).weightsSha256;
  };
  weights = await trained(1);
  longer = await trained(8);
  await reference.clear();
}, patienceMs);
afterAll(() => cluster?.stop());
beforeEach(() => {
  place = new Workplace();
  environment = { ...pace, ...cluster?.environment };
});
afterEach(async () => {
  for (const pid of workersOf(place.path('run')).values()) process.kill(pid, 'SIGKILL');
  await place.clear();
});

const srun = (...flags: string[]) => [findProgram('srun') as string, '-n', '2', ...flags];
const slurm = {
  name: noSlurm === undefined ? 'srun' : `srun (${noSlurm})`,
  within: noSlurm === undefined ? () => srun('--kill-on-bad-exit=1') : undefined,
};

function start(within: string[], epochs: number, ...more: string[]) {
  const args = ['worker', ...settings, '--epochs', String(epochs), '--out', place.path('run'), ...more];
  return place.start(args, environment, within);
}

/** Waits for an epoch of a job that has just been started. */
async function underWay(): Promise<Map<number, number>> {
  await until('a first epoch', () => place.epochs('run') || undefined, patienceMs);
  return workersOf(place.path('run'));
}

async function expectNoWorkers(): Promise<void> {
  await until('the end of every worker', () => workersOf(place.path('run')).size === 0 || undefined);
  // torchrun leaves a folder for its own logs.
  expect(place.leftovers().filter((name) => !name.startsWith('torchelastic_'))).toEqual([]);
}

describe.each([...starters, slurm])('$name', { timeout: 2 * patienceMs }, ({ name, within }) => {
  it('trains the weights of a run without a launcher, bit for bit', needs(name, within), async () => {
    const { code, stderr } = await start(within!(2), 1).ended;
    expect(code, stderr).toBe(0);
    expect(place.report('run')).toMatchObject({ worldSize: 2, weightsSha256: weights });
    await expectNoWorkers();
  });

  it(
    'ends within seconds with an exit code when a rank is killed, and leaves no process',
    needs(name, within),
    async () => {
      const job = start(within!(2), 500);
      const workers = await underWay();
      expect([...workers.keys()].sort()).toEqual([0, 1]);
      process.kill(workers.get(1) as number, 'SIGKILL');
      const ended = await Promise.race([job.ended, delay(soonMs)]);
      expect(ended).toBeDefined();
      expect(ended?.code).not.toBe(0);
      // Open MPI, MPICH and Slurm end rank 0 at once, most often before it can say why; then they name the rank or its process.
      expect(`${ended?.stdout}${ended?.stderr}`).toMatch(
        /rank 1\b|task 1\b|task 0: Terminated|BAD TERMINATION/,
      );
      await expectNoWorkers();
    },
  );

  const options = within === slurm.within ? needs(name, within) : { ...long, skip: long.skip || !within };
  it('with --elastic, ends with the same bits after both workers were lost', options, async () => {
    const job = start(within!(2), 8, '--elastic');
    await underWay();
    for (const rank of [1, 0]) {
      process.kill(workersOf(place.path('run'), { kept: true }).get(rank) as number, 'SIGKILL');
      await job.says(new RegExp(`rank ${rank} on host .*; 2 workers go on after`));
    }
    const { code, stderr } = await job.ended;
    expect(code, stderr).toBe(0);
    expect(place.report('run').weightsSha256).toBe(longer);
    await expectNoWorkers();
  });
});

describe('Slurm', { ...needs('Slurm', noSlurm === undefined), timeout: 2 * patienceMs }, () => {
  it('ends a job over two nodes at scancel, and leaves no process', async () => {
    // The names of the nodes are known to Slurm only.
    environment.MASTER_ADDR = '127.0.0.1';
    const job = start(srun('-N', '2'), 500);
    expect((await underWay()).size).toBe(2);
    cluster?.ask('scancel', cluster.ask('squeue', '-h', '-o', '%i').trim());
    const ended = await Promise.race([job.ended, delay(soonMs)]);
    expect(ended).toBeDefined();
    expect(ended?.code).not.toBe(0);
    await expectNoWorkers();
  });

  it("fails at once when the first node's name is unknown", async () => {
    const began = performance.now();
    const { code, stderr } = await start(srun('-N', '2'), 1).ended;
    expect(stderr).toMatch(
      /pod-dist: the name n0 is not known on this host: set MASTER_ADDR to rank 0's address \(see /,
    );
    expect(code).not.toBe(0);
    expect(performance.now() - began).toBeLessThan(soonMs);
    await expectNoWorkers();
  });

  /**
   * Waits for the report of a requeued job. Slurm would start it after two minutes, so it is told to start once the steps
   * of its first start are gone: a start before that fails.
   */
  async function reported(job: string): Promise<void> {
    let nextLook = 0;
    let wasGone = false;
    const look = () => {
      if (existsSync(place.path('run', 'report.json'))) return true;
      if (performance.now() < nextLook) return undefined;
      nextLook = performance.now() + 1000;
      try {
        const isPending = cluster?.ask('squeue', '-h', '-j', job, '-o', '%T').trim() === 'PENDING';
        const isGone = isPending && !cluster?.hasSteps(job);
        if (isGone && wasGone) cluster?.ask('scontrol', 'update', `JobId=${job}`, 'StartTime=now');
        wasGone = isGone;
      } catch {
        // It has started since, or has ended.
      }
      return undefined;
    };
    await until('a report', look, patienceMs).catch((error: unknown) => {
      const printed = place.texts(/\.out$/).join('\n');
      throw new Error(`${messageOf(error)}\n${cluster?.ask('scontrol', 'show', 'job', job)}${printed}`);
    });
  }

  it.each([
    ['a job', ''],
    ['an elastic job', '--elastic'],
  ])(
    'continues %s that scontrol has requeued, to the weights of an uninterrupted one',
    long,
    async (_, elastic) => {
      const run = place.path('run');
      const worker = `worker ${quoted} --epochs 8 --out ${run} --resume ${elastic}`;
      const step = `srun --kill-on-bad-exit=1 -n 2 ${process.execPath} ${cli} ${worker}`;
      const flags = [
        '--parsable',
        '--requeue',
        '--open-mode=append',
        '-n',
        '2',
        `--output=${place.path('out')}`,
      ];
      const job = cluster?.ask('sbatch', ...flags, '--wrap', step).trim() as string;
      await until('a first checkpoint', () => place.checkpoints('run')[0], patienceMs);
      cluster?.ask('scontrol', 'requeue', job);
      await reported(job);
      expect(place.report('run').weightsSha256).toBe(longer);
      expect(place.metrics('run').epochs.map(({ epoch }) => epoch)).toEqual([...Array(8).keys()]);
      expect(cluster?.ask('scontrol', 'show', 'job', job)).toMatch(/Restarts=1\b/);
      await expectNoWorkers();
    },
  );

  it('requeues a job whose time is nearly over, by the script of pod-dist sbatch, and continues it', async () => {
    const own = [...settings, '--epochs', '8', '--out', place.path('run')];
    const { stdout, stderr } = await place.run('sbatch', '--workers', '2', '--time', '10:00', ...own);
    writeFileSync(place.path('job.sh'), stdout.replace('output=digits', `output=${place.path('digits')}`));
    const job = cluster?.ask('sbatch', '--parsable', place.path('job.sh')).trim() as string;
    expect(job, stderr).toMatch(/^\d+$/);
    await underWay();
    cluster?.ask('scancel', '--signal=USR1', `${job}.0`);
    await reported(job);
    expect(place.report('run').weightsSha256).toBe(longer);
    await expectNoWorkers();
  });

  it('gives each job of an array its own run folder', async () => {
    const step = `srun -n 2 ${process.execPath} ${cli} worker ${quoted} --epochs 1`;
    const flags = ['--array=0-1', '-n', '2', '--wait', `--chdir=${place.folder}`, '--output=array-%a.out'];
    cluster?.ask('sbatch', ...flags, '--wrap', step);
    const folders = ['runs/digits', 'runs/digits-2'];
    expect(folders.map((folder) => existsSync(place.path(folder, 'report.json')))).toEqual([true, true]);
    for (const folder of folders) expect(place.report(folder).weightsSha256).toBe(weights);
  });
});
