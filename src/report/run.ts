import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { flattenSettings } from '../config/flatten.js';
import { parseYaml } from '../config/yaml.js';
import { messageOf, UserError } from '../util/errors.js';
import { evaluationSchema, type Evaluation } from '../evaluation/schema.js';
import { readRegularText } from '../util/regular-file.js';

/** Most bytes of a file of a run: the most that one string can hold. */
const mostBytes = 500_000_000;

const number = z.number();
const stepSchema = z.object({
  kind: z.literal('step'),
  epoch: number,
  step: number,
  loss: number,
  nac: number.optional(),
  sc: number.optional(),
  crossEntropy: number.optional(),
  meanSquaredError: number.optional(),
  squaredError: number.optional(),
  delta: number.optional(),
  lr: number,
  samplesPerSecond: number,
});
const epochSchema = z.object({
  kind: z.literal('epoch'),
  epoch: number,
  trainLoss: number,
  evalAccuracy: number,
  meanCosine: number,
});
const ranksSchema = z.object({
  kind: z.literal('ranks'),
  epoch: number,
  ranks: z.array(
    z.object({ images: number, seconds: number, loaderSeconds: number, exposedSeconds: number }),
  ),
});
const recordSchema = z.discriminatedUnion('kind', [stepSchema, epochSchema, ranksSchema]);

const reportSchema = z.object({
  worldSize: number,
  backend: z.string(),
  devices: z.array(z.string()),
  parameters: number,
  epochs: number,
  evalCorrect: number,
  evalTotal: number,
  evalAccuracy: number,
  samplesPerSecond: number,
  seconds: number,
});

const incidentSchema = z.object({
  time: z.string(),
  cause: z.string(),
  rank: number.optional(),
  host: z.string().optional(),
  worldSize: number,
  seconds: number,
  step: number.optional(),
  replayed: number.optional(),
});

export type Incident = z.output<typeof incidentSchema>;

type StepLine = z.output<typeof stepSchema>;

/** Contents of a run folder, as far as they are there. */
export interface RecordedRun {
  /** The folder's name; the path where two runs have the same. */
  name: string;
  folder: string;
  /** Settings by path, such as `optimizer.momentum`; empty where `config.yaml` is missing. */
  settings: ReadonlyMap<string, unknown>;
  steps: StepLine[];
  epochs: z.output<typeof epochSchema>[];
  ranks: z.output<typeof ranksSchema>[];
  report?: z.output<typeof reportSchema>;
  evaluation?: Evaluation;
  /** Faults that an elastic run has gone on from. */
  incidents: Incident[];
  /** Missing or broken parts, a line each. */
  gaps: string[];
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
  const runs = folders.map(readRun);
  const named = (name: string) => runs.filter((run) => run.name === name).length;
  const repeated = new Set(runs.map(({ name }) => name).filter((name) => named(name) > 1));
  return runs.map((run) => (repeated.has(run.name) ? { ...run, name: run.folder } : run));
}

function readRun(folder: string): RecordedRun {
  if (!existsSync(folder) || !statSync(folder).isDirectory())
    throw new UserError(
      'RUN_NOT_FOUND',
      `there is no run folder ${folder}: give folders that pod-dist launch has made`,
    );
  if (!files.some((file) => existsSync(join(folder, file))))
    throw new UserError('RUN_NOT_FOUND', `${folder} is no run folder: it holds none of ${files.join(', ')}`);
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
  if (epochs.length > 0 && ranks.length === 0)
    gaps.push('metrics.jsonl has no lines of the kind ranks: there are no times of each rank');
  const name = basename(resolve(folder));
  return {
    ...{ name, folder, settings: settings ?? new Map(), steps, epochs, ranks },
    ...{ report, evaluation, incidents: incidents ?? [], gaps },
  };
}

function readIncidents(text: string, gaps: string[]): Incident[] {
  const lines = text.split('\n').filter((line) => line !== '');
  const incidents = lines.flatMap((line) => {
    try {
      return [incidentSchema.parse(JSON.parse(line))];
    } catch {
      return [];
    }
  });
  const broken = lines.length - incidents.length;
  if (broken > 0)
    gaps.push(
      `${incidentsFile} has ${broken} line${broken > 1 ? 's' : ''} that cannot be read, left out here`,
    );
  return incidents;
}

function readMetrics(text: string, gaps: string[]): Pick<RecordedRun, 'steps' | 'epochs' | 'ranks'> {
  const lines = text.split('\n').filter((line) => line !== '');
  const records = lines.map((line) => {
    try {
      return recordSchema.parse(JSON.parse(line));
    } catch {
      return undefined;
    }
  });
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
