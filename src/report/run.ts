import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { flattenSettings } from '../config/flatten.js';
import { parseYaml } from '../config/yaml.js';
import { messageOf, UserError } from '../util/errors.js';
import { evaluationSchema, type Evaluation } from '../evaluation/schema.js';
import { readRegularText } from '../util/regular-file.js';
import {
  readIncident,
  readRecord,
  reportSchema,
  type EpochLine,
  type Incident,
  type RanksLine,
  type ReportFile,
  type StepLine,
} from './lines.js';
import { StepCurves } from './step-curves.js';

/** Most bytes of a file of a run: the most that one string can hold. */
const mostBytes = 500_000_000;

/** The data of a run that are drawn, as far as its folder has them. */
export interface DrawnRun {
  /** The folder's name; the path where two runs have the same. */
  name: string;
  folder: string;
  /** Settings by path, such as `optimizer.momentum`; empty where `config.yaml` is missing. */
  settings: ReadonlyMap<string, unknown>;
  curves: StepCurves;
  epochs: EpochLine[];
  ranks: RanksLine[];
  report?: ReportFile;
  evaluation?: Evaluation;
  /** Faults that an elastic run has gone on from. */
  incidents: Incident[];
  /** Missing or broken parts, a line each. */
  gaps: string[];
}

/** Contents of a run folder, as far as they are there. */
export interface RecordedRun extends DrawnRun {
  steps: StepLine[];
}

/** The files of a run, each of which may be missing from a run that was stopped. */
const files = ['config.yaml', 'metrics.jsonl', 'report.json', 'evaluation.json'] as const;
const incidentsFile = 'job/incidents.jsonl';

/**
 * Reads run folders; missing or broken parts are left out and become `gaps`.
 *
 * @throws UserError `RUN_NOT_FOUND` for a folder that is missing, or holds none of a run's files
 */
export function readRuns(folders: readonly string[]): RecordedRun[] {
  const names = namesOf(folders);
  return folders.map((folder, index) => readRun(folder, names[index] ?? folder));
}

/** Names for runs: of each its folder's; the path where two have the same. */
export function namesOf(folders: readonly string[]): string[] {
  const names = folders.map((folder) => basename(resolve(folder)));
  return names.map((name, index) =>
    names.filter((other) => other === name).length > 1 ? (folders[index] ?? name) : name,
  );
}

/**
 * Refuses what is no run folder.
 *
 * @throws UserError `RUN_NOT_FOUND`
 */
export function requireRun(folder: string): void {
  if (!existsSync(folder) || !statSync(folder).isDirectory())
    throw new UserError(
      'RUN_NOT_FOUND',
      `there is no run folder ${folder}: give folders that pod-dist launch has made`,
    );
  if (!files.some((file) => existsSync(join(folder, file))))
    throw new UserError('RUN_NOT_FOUND', `${folder} is no run folder: it holds none of ${files.join(', ')}`);
}

function readRun(folder: string, name: string): RecordedRun {
  requireRun(folder);
  const gaps: string[] = [];
  const read = (file: string, without: string): string | undefined => {
    try {
      return readRegularText(join(folder, file), { mostBytes });
    } catch (error) {
      const missing = !existsSync(join(folder, file));
      gaps.push(`${file} ${missing ? 'is missing' : `cannot be read (${messageOf(error)})`}: ${without}`);
      return undefined;
    }
  };
  const checked = <T>(file: string, without: string, use: (text: string) => T): T | undefined => {
    const text = read(file, without);
    if (text === undefined) return undefined;
    try {
      return use(text);
    } catch (error) {
      const reason = error instanceof z.ZodError ? messageOf(z.prettifyError(error)) : messageOf(error);
      gaps.push(`${file} is not what pod-dist writes (${reason}): ${without}`);
      return undefined;
    }
  };
  const settings = checked('config.yaml', 'the settings are not shown', (text) =>
    flattenSettings(parseYaml(text, 'it is not YAML').value),
  );
  const lines = checked('metrics.jsonl', 'there are no curves', (text) => readMetrics(text, gaps));
  const report = checked('report.json', 'the run did not end, or still goes on', (text) =>
    reportSchema.parse(JSON.parse(text)),
  );
  const again = `pod-dist evaluate --checkpoint ${folder} --out ${join(folder, 'evaluation.json')} makes it`;
  const evaluation = checked('evaluation.json', again, (text) => evaluationSchema.parse(JSON.parse(text)));
  const incidents = existsSync(join(folder, incidentsFile))
    ? checked(incidentsFile, 'the faults are not shown', (text) => readIncidents(text, gaps))
    : undefined;
  const { steps = [], epochs = [], ranks = [] } = lines ?? {};
  const curves = new StepCurves();
  for (const step of steps) curves.add(step);
  if (epochs.length > 0 && ranks.length === 0)
    gaps.push('metrics.jsonl has no lines of the kind ranks: there are no times of each rank');
  return {
    ...{ name, folder, settings: settings ?? new Map(), steps, curves, epochs, ranks },
    ...{ report, evaluation, incidents: incidents ?? [], gaps },
  };
}

function readIncidents(text: string, gaps: string[]): Incident[] {
  const lines = text.split('\n').filter((line) => line !== '');
  const incidents = lines.map(readIncident).filter((incident) => incident !== undefined);
  const broken = lines.length - incidents.length;
  if (broken > 0)
    gaps.push(
      `${incidentsFile} has ${broken} line${broken > 1 ? 's' : ''} that cannot be read, left out here`,
    );
  return incidents;
}

function readMetrics(text: string, gaps: string[]): Pick<RecordedRun, 'steps' | 'epochs' | 'ranks'> {
  const lines = text.split('\n').filter((line) => line !== '');
  const records = lines.map(readRecord);
  const broken = records.filter((record) => record === undefined).length;
  if (broken > 0)
    gaps.push(`metrics.jsonl has ${broken} line${broken > 1 ? 's' : ''} that cannot be read, left out here`);
  if (lines.length === 0) gaps.push('metrics.jsonl is empty: there are no curves');
  const known = records.filter((record) => record !== undefined);
  return {
    steps: known.filter((record) => record.kind === 'step'),
    epochs: known.filter((record) => record.kind === 'epoch'),
    ranks: known.filter((record) => record.kind === 'ranks'),
  };
}
