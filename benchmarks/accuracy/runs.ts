import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PodDistError } from '../../src/errors.js';
import { readRuns, type Run } from '../../src/report/run.js';
import type { Experiment, Group } from './experiments.js';

const cli = fileURLToPath(new URL('../../launcher/cli.js', import.meta.url));

/** Characters kept of what a run writes to its error stream. */
const mostErrors = 10_000;

const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface RunOptions {
  /** A folder a run is made below it. */
  out: string;
  /** Further arguments of every `pod-dist launch`. */
  launch: readonly string[];
}

/** A finished run. */
export type FinishedRun = Run & { report: NonNullable<Run['report']> };

/** In the folder of a run that diverged: the error that ended it. */
const divergedFile = 'diverged.txt';

const divergence = /error (?:LOSS|GRADIENT)_NOT_FINITE: .*/;

/**
 * Trains what is not finished yet, one run after another; a run that was cut off goes on from its checkpoint. One that
 * diverges has ended too, with that result.
 *
 * @throws PodDistError `BENCHMARK_FAILED` where a run ends in another way
 */
export async function train(
  name: string,
  { recipe, groups }: Experiment,
  { out, launch }: RunOptions,
  notify: (line: string) => void,
): Promise<void> {
  const missing = groups.flatMap((group) =>
    seedsOf(group)
      .map((seed) => ({ group, seed, folder: folderOf(out, name, group, seed) }))
      .filter(({ folder }) => !['report.json', divergedFile].some((file) => existsSync(join(folder, file)))),
  );
  for (const [index, { group, seed, folder }] of missing.entries()) {
    notify(`${name}: run ${index + 1} of ${missing.length}: ${group.label}, seed ${seed}`);
    const resume = existsSync(join(folder, 'checkpoints')) ? ['--resume'] : [];
    const settings = [...group.settings, `checkpoint.keep=1`].flatMap((setting) => ['--set', setting]);
    const where = ['--config', recipe, '--workers', String(group.workers ?? 1), '--seed', String(seed)];
    const args = ['launch', '--out', folder, ...resume, ...where, ...settings, ...launch];
    const { outcome, errors } = await run([cli, ...args]);
    if (outcome === undefined) continue;
    const [error] = divergence.exec(errors) ?? [];
    if (error === undefined)
      throw new PodDistError('BENCHMARK_FAILED', `a run ended with ${outcome}: ${errors.trim()}`);
    notify(`${name}: ${error}`);
    writeFileSync(join(folder, divergedFile), `${error}\n`);
  }
}

/** Runs a command of Node.js to its end; a signal to this process ends both. No outcome is success. */
async function run(args: readonly string[]): Promise<{ outcome?: string; errors: string }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (errors = (errors + text).slice(-mostErrors)));
  const end = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of endSignals) process.on(signal, end);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  for (const signal of endSignals) process.off(signal, end);
  return code === 0 ? { errors } : { outcome: signal ?? `exit code ${code}`, errors };
}

/** The finished runs of a group. */
export function finished(out: string, name: string, group: Group): FinishedRun[] {
  const folders = seedsOf(group).map((seed) => folderOf(out, name, group, seed));
  return readRuns(folders.filter((folder) => existsSync(folder))).filter(
    (run): run is FinishedRun => run.report !== undefined,
  );
}

/** How many runs of a group diverged. */
export function diverged(out: string, name: string, group: Group): number {
  return seedsOf(group).filter((seed) => existsSync(join(folderOf(out, name, group, seed), divergedFile)))
    .length;
}

function seedsOf({ seeds }: Group): number[] {
  return Array.from({ length: seeds }, (_, index) => index + 1);
}

function folderOf(out: string, name: string, { label }: Group, seed: number): string {
  return join(out, name, `${label.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-')}-seed-${seed}`);
}
