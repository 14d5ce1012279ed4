import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { flattenSettings } from '../config/flatten.js';
import { recipeBytes } from '../config/recipe.js';
import { parseYaml } from '../config/yaml.js';
import { messageOf, UserError } from '../util/errors.js';
import { largest } from '../util/extremes.js';
import { readRegularText, regularBytes } from '../util/regular-file.js';
import { readJobState } from './job-state.js';
import { holderOf, isLock } from './run-lock.js';
import { isWhole, stateOf, wishesOf, type RunState } from './run-status.js';

/** What a run has come to. */
export interface ListedRun {
  /** Its folder, from the folder on that was listed. */
  name: string;
  folder: string;
  /** When it was written to last (ISO 8601). */
  date: string;
  state: RunState;
  workers?: number;
  backend?: string;
  /** Epochs that have ended, and that the run is to have. */
  epochs: number;
  wantedEpochs?: number;
  /** Accuracy after the last epoch, and after the best one, from 0 to 1. */
  accuracy?: number;
  bestAccuracy?: number;
  /** Seconds of the run, or of its epochs so far where it has no report. */
  seconds?: number;
  /** Settings by path. */
  settings: ReadonlyMap<string, unknown>;
}

export interface RunList {
  runs: ListedRun[];
  /** Paths of settings that are not equal in all runs, those first that every run has. */
  differing: string[];
  /** Folders that hold a run which cannot be read. */
  broken: { folder: string; reason: string }[];
}

const epochSchema = z.object({ epoch: z.int(), evalAccuracy: z.number(), seconds: z.number() });
const reportSchema = z.object({
  worldSize: z.number(),
  backend: z.string(),
  epochs: z.number(),
  evalAccuracy: z.number(),
  seconds: z.number(),
});
const chosenSchema = z.object({ workers: z.number().optional(), backend: z.string().optional() });

/** Levels of folders below the one that is listed. */
const mostLevels = 4;
const mostBytes = 500_000_000;
/** Settings that `ListedRun` has by itself. */
const own = ['name', 'workers', 'backend', 'epochs'];
/** Files of which a run has one at least. */
const parts = ['config.yaml', 'metrics.jsonl', 'report.json'];

/**
 * The runs below a folder, up to four levels deep. Of each only `config.yaml`, `report.json`, `job/job.json` and the lines
 * of epochs are read.
 *
 * @throws UserError `RUN_NOT_FOUND` where there is no such folder
 */
export function listRuns(folder: string): RunList {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new UserError('RUN_NOT_FOUND', `there is no folder ${folder}: give one that holds run folders`);
  const runs: ListedRun[] = [];
  const broken: RunList['broken'] = [];
  for (const path of runFolders(folder)) {
    try {
      runs.push(readRun(path, relative(folder, path) || path));
    } catch (error) {
      broken.push({ folder: path, reason: messageOf(error) });
    }
  }
  return { runs, differing: differingSettings(runs), broken };
}

function runFolders(folder: string, level = 0): string[] {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  if (entries.some(({ name }) => parts.includes(name) || isLock(name))) return [folder];
  if (level === mostLevels) return [];
  const below = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
  return below.toSorted().flatMap((path) => runFolders(path, level + 1));
}

function readRun(folder: string, name: string): ListedRun {
  const file = join(folder, 'config.yaml');
  if (!existsSync(file)) throw new Error('it has no config.yaml');
  const { value } = parseYaml(readRegularText(file, { mostBytes: recipeBytes }), 'config.yaml is broken');
  const chosen = chosenSchema.safeParse(value).data;
  if (!chosen) throw new Error('its config.yaml is not what pod-dist writes');
  const lines = epochLines(join(folder, 'metrics.jsonl'));
  const last = lines.at(-1);
  const report = reportSchema.safeParse(parsed(textOf(join(folder, 'report.json')))).data;
  const wishes = wishesOf(value);
  const epochs = last ? last.epoch + 1 : 0;
  const whole = isWhole({ ...wishes, epochs, report });
  const ofReport = whole ? report : undefined;
  return {
    ...{ name, folder, date: new Date(lastWritten(folder)).toISOString() },
    state: stateOf({ holder: holderOf(folder), ended: readJobState(folder)?.ended, whole }),
    workers: ofReport?.worldSize ?? chosen.workers,
    backend: ofReport?.backend ?? chosen.backend,
    ...{ epochs, wantedEpochs: wishes.wantedEpochs },
    accuracy: ofReport?.evalAccuracy ?? last?.evalAccuracy,
    bestAccuracy: last && largest(lines.map(({ evalAccuracy }) => evalAccuracy)),
    seconds: ofReport?.seconds ?? (last && lines.reduce((sum, { seconds }) => sum + seconds, 0)),
    settings: flattenSettings(value),
  };
}

/** Records of epochs in a file that is mostly lines of steps, which are not decoded. */
function epochLines(file: string): z.output<typeof epochSchema>[] {
  if (!existsSync(file)) return [];
  const bytes = regularBytes(file, mostBytes);
  const found: z.output<typeof epochSchema>[] = [];
  for (let at = bytes.indexOf(ofEpoch); at >= 0; at = bytes.indexOf(ofEpoch, at + 1)) {
    const end = bytes.indexOf(lineEnd, at);
    const line = bytes.toString('utf8', bytes.lastIndexOf(lineEnd, at) + 1, end < 0 ? undefined : end);
    const { data } = epochSchema.safeParse(parsed(line));
    if (data) found.push(data);
  }
  return found;
}

const ofEpoch = '"kind":"epoch"';
const lineEnd = '\n';

function textOf(file: string): string {
  return existsSync(file) ? readRegularText(file, { mostBytes }) : '';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function lastWritten(folder: string): number {
  const written = parts.map((part) => statSync(join(folder, part), { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return largest(written);
}

/** Paths of the settings that differ between runs, in the order of recipes. */
function differingSettings(runs: readonly ListedRun[]): string[] {
  const paths = new Set(runs.flatMap(({ settings }) => [...settings.keys()]));
  const differing = [...paths].filter((path) => {
    if (own.includes(path)) return false;
    const [first, ...rest] = runs.map(({ settings }) => JSON.stringify(settings.get(path)));
    return rest.some((value) => value !== first);
  });
  const inAll = differing.filter((path) => runs.every(({ settings }) => settings.has(path)));
  return [...inAll, ...differing.filter((path) => !inAll.includes(path))];
}
