import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { EpochRecord, StepRecord } from '../../src/training/reporter.js';
import type { Report } from '../../src/training/run-record.js';
import type { Experiment, Group } from './experiments.js';

const cli = fileURLToPath(new URL('../../launcher/cli.js', import.meta.url));

export interface RunOptions {
  /** A folder a run is made below it. */
  out: string;
  /** Further arguments of every `pod-dist launch`. */
  launch: readonly string[];
}

/** What a finished run has recorded. */
export interface Run {
  report: Report;
  steps: StepRecord[];
  epochs: EpochRecord[];
}

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
    await promisify(execFile)(
      process.execPath,
      [cli, 'launch', '--out', folder, ...resume, ...where, ...settings, ...launch],
      { maxBuffer: 2 ** 26 },
    );
  }
}

/** The finished runs of a group. */
export function finished(out: string, name: string, group: Group): Run[] {
  return seedsOf(group)
    .map((seed) => folderOf(out, name, group, seed))
    .filter((folder) => existsSync(join(folder, 'report.json')))
    .map(read);
}

function read(folder: string): Run {
  const lines = readFileSync(join(folder, 'metrics.jsonl'), 'utf8').trimEnd().split('\n');
  const records = lines.map((line) => JSON.parse(line) as StepRecord | EpochRecord);
  return {
    report: JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')) as Report,
    steps: records.filter((record) => record.kind === 'step'),
    epochs: records.filter((record) => record.kind === 'epoch'),
  };
}

function seedsOf({ seeds }: Group): number[] {
  return Array.from({ length: seeds }, (_, index) => index + 1);
}

function folderOf(out: string, name: string, { label }: Group, seed: number): string {
  return join(out, name, `${label.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-')}-seed-${seed}`);
}
