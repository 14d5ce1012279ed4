import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { z } from 'zod';
import { UserError } from '../../src/util/errors.js';
import { readRuns } from '../../src/report/run.js';
import type { Group } from './experiments.js';

/** Decimal digits that tell all numbers of single precision apart. */
const float32Digits = 9;

/** File in the folder of a run that diverged: it has the error that ended the run. */
export const divergedFile = 'diverged.txt';

const resultSchema = z.object({
  experiment: z.string(),
  label: z.string(),
  settings: z.array(z.string()),
  workers: z.number(),
  seed: z.number(),
  /** The error that ended a run that diverged. */
  diverged: z.string().optional(),
  /** Test accuracy and mean training loss of each epoch. */
  accuracies: z.array(z.number()),
  trainLosses: z.array(z.number()),
  /** The loss of each step, where runs are compared step by step. */
  stepLosses: z.array(z.number()).optional(),
  backend: z.string(),
  seconds: z.number(),
});

/** What is kept of a run that has ended. */
export type Result = z.output<typeof resultSchema>;

interface ResultsPlace {
  /** Name of the experiment. */
  name: string;
  /** Folder that has a folder for each run. */
  out: string;
  /** File with a line of JSON for each run that has ended, here or elsewhere; undefined: only the folders are read. */
  file?: string;
}

/** The runs of an experiment that have ended: those in the results file, and those whose folders are there. */
export class Results {
  private readonly kept: Result[];

  /** @throws UserError `INVALID_RESULTS` for a file that holds anything else */
  constructor(private readonly place: ResultsPlace) {
    this.kept = place.file && existsSync(place.file) ? readFile(place.file) : [];
  }

  /** Results of a group, by seed. */
  of(group: Group): Result[] {
    return seedsOf(group).flatMap((seed) => this.find(group, seed) ?? []);
  }

  find(group: Group, seed: number): Result | undefined {
    const { name } = this.place;
    const workers = group.workers ?? 1;
    const settings = group.settings.join(' ');
    const known = this.kept.find(
      (result) =>
        result.experiment === name &&
        result.label === group.label &&
        result.seed === seed &&
        result.workers === workers &&
        result.settings.join(' ') === settings,
    );
    return known ?? this.read(group, seed);
  }

  /** Puts a run that has ended into the results file, if there is one that does not have it. */
  keep(group: Group, seed: number): void {
    const result = this.find(group, seed);
    const { file } = this.place;
    if (!result || !file || this.kept.includes(result)) return;
    this.kept.push(result);
    writeFileAtomicSync(file, this.kept.map((kept) => `${JSON.stringify(kept)}\n`).join(''));
  }

  folderOf({ label }: Group, seed: number): string {
    const { out, name } = this.place;
    return join(out, name, `${label.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-')}-seed-${seed}`);
  }

  /** Reads a result from the run's folder; undefined where the run has not ended. */
  private read(group: Group, seed: number): Result | undefined {
    const folder = this.folderOf(group, seed);
    const { name } = this.place;
    const { label, settings, workers = 1 } = group;
    const about = { experiment: name, label, settings: [...settings], workers, seed };
    const diverged = join(folder, divergedFile);
    if (existsSync(diverged)) {
      const error = readFileSync(diverged, 'utf8').trim();
      return { ...about, diverged: error, accuracies: [], trainLosses: [], backend: '', seconds: 0 };
    }
    if (!existsSync(join(folder, 'report.json'))) return undefined;
    const [{ epochs, steps, report }] = readRuns([folder]);
    if (!report) return undefined;
    return {
      ...about,
      accuracies: epochs.map(({ evalAccuracy }) => evalAccuracy),
      trainLosses: epochs.map(({ trainLoss }) => Number(trainLoss.toPrecision(6))),
      ...(isCompared(name)
        ? { stepLosses: steps.map(({ loss }) => Number(loss.toPrecision(float32Digits))) }
        : {}),
      backend: report.backend,
      seconds: report.seconds,
    };
  }
}

/** Whether the runs of an experiment are compared step by step. */
export function isCompared(name: string): boolean {
  return name.endsWith('-workers');
}

export function seedsOf({ seeds }: Group): number[] {
  return Array.from({ length: seeds }, (_, index) => index + 1);
}

function readFile(file: string): Result[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return [];
    try {
      return resultSchema.parse(JSON.parse(line));
    } catch {
      throw new UserError('INVALID_RESULTS', `${file}, line ${index + 1}: not a result of this benchmark`);
    }
  });
}
