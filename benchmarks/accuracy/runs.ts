import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PodDistError } from '../../src/errors.js';
import { readRuns, type Run } from '../../src/report/run.js';
import type { Experiment, Group } from './experiments.js';

const cli = fileURLToPath(new URL('../../launcher/cli.js', import.meta.url));

const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface RunOptions {
  /** A folder a run is made below it. */
  out: string;
  /** Further arguments of every `pod-dist launch`. */
  launch: readonly string[];
}

/** A finished run. */
export type FinishedRun = Run & { report: NonNullable<Run['report']> };

/** Trains what is not finished yet, one run after another; a run that was cut off goes on from its checkpoint. */
export async function train(
  name: string,
  { recipe, groups }: Experiment,
  { out, launch }: RunOptions,
  notify: (line: string) => void,
): Promise<void> {
  const missing = groups.flatMap((group) =>
    seedsOf(group)
      .map((seed) => ({ group, seed, folder: folderOf(out, name, group, seed) }))
      .filter(({ folder }) => !existsSync(join(folder, 'report.json'))),
  );
  for (const [index, { group, seed, folder }] of missing.entries()) {
    notify(`${name}: run ${index + 1} of ${missing.length}: ${group.label}, seed ${seed}`);
    const resume = existsSync(join(folder, 'checkpoints')) ? ['--resume'] : [];
    const settings = [...group.settings, `checkpoint.keep=1`].flatMap((setting) => ['--set', setting]);
    const where = ['--config', recipe, '--workers', String(group.workers ?? 1), '--seed', String(seed)];
    await run([cli, 'launch', '--out', folder, ...resume, ...where, ...settings, ...launch]);
  }
}

/** Runs a command of Node.js to its end; a signal to this process ends both. */
async function run(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const end = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of endSignals) process.on(signal, end);
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  for (const signal of endSignals) process.off(signal, end);
  if (code !== 0)
    throw new PodDistError('BENCHMARK_FAILED', `a run ended with ${signal ?? `exit code ${code}`}`);
}

/** The finished runs of a group. */
export function finished(out: string, name: string, group: Group): FinishedRun[] {
  const folders = seedsOf(group).map((seed) => folderOf(out, name, group, seed));
  return readRuns(folders.filter((folder) => existsSync(folder))).filter(
    (run): run is FinishedRun => run.report !== undefined,
  );
}

function seedsOf({ seeds }: Group): number[] {
  return Array.from({ length: seeds }, (_, index) => index + 1);
}

function folderOf(out: string, name: string, { label }: Group, seed: number): string {
  return join(out, name, `${label.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-')}-seed-${seed}`);
}
