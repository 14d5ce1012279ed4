import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { flattenSettings } from '../config/flatten.js';
import { recipeBytes } from '../config/recipe.js';
import { parseYaml } from '../config/yaml.js';
import { evaluationSchema, type Evaluation } from '../evaluation/schema.js';
import { readJobState, type JobState } from '../record/job-state.js';
import { holderOf, type Holder } from '../record/run-lock.js';
import { isWhole, stateOf, wishesOf, type RunState } from '../record/run-status.js';
import { messageOf } from '../util/errors.js';
import { readIncident, readRecord, reportSchema, type ReportFile } from '../report/lines.js';
import type { DrawnRun } from '../report/run.js';
import { StepCurves } from '../report/step-curves.js';
import { GrowingFile, WholeFile } from './followed-files.js';
import { picturesOf, type Pictures } from './pictures.js';

const mostBytes = 500_000_000;

/** Files of `logs/` that are shown. */
const logName = /^(?:(?:rank|worker)-\d+|job)\.log$/;

/** How a run stands. */
export interface Standing {
  /** Undefined before it has begun. */
  state?: RunState;
  holder?: Holder;
  job?: JobState;
  wantedEpochs?: number;
}

/** A run folder that is followed: what it holds is read as it comes, each line once. */
export class FollowedRun {
  drawn: DrawnRun;
  standing: Standing = {};
  /** Names of its logs, in the order in which they were found. */
  readonly logs: string[] = [];
  private readonly metrics: GrowingFile;
  private readonly incidents: GrowingFile;
  private readonly config: WholeFile<unknown>;
  private readonly report: WholeFile<ReportFile>;
  private readonly evaluation: WholeFile<Evaluation>;
  /** Pictures of the mistakes of its last evaluation, once they are read. */
  pictures: Pictures | undefined;
  private picturing: Promise<void> | undefined;
  private broken = 0;

  constructor(
    readonly folder: string,
    name: string,
  ) {
    this.drawn = {
      ...{ name, folder, settings: new Map(), curves: new StepCurves() },
      ...{ epochs: [], ranks: [], incidents: [], gaps: [] },
    };
    this.metrics = new GrowingFile(join(folder, 'metrics.jsonl'));
    this.incidents = new GrowingFile(join(folder, 'job', 'incidents.jsonl'));
    this.config = new WholeFile(
      join(folder, 'config.yaml'),
      recipeBytes,
      (text) => parseYaml(text, '').value,
    );
    this.report = new WholeFile(
      join(folder, 'report.json'),
      mostBytes,
      (text) => reportSchema.safeParse(JSON.parse(text)).data,
    );
    this.evaluation = new WholeFile(
      join(folder, 'evaluation.json'),
      mostBytes,
      (text) => evaluationSchema.safeParse(JSON.parse(text)).data,
    );
  }

  /** Reads what is new; if there is any, `drawn` becomes another object. An error is listed in its `gaps`. */
  async look(): Promise<void> {
    try {
      await this.read();
    } catch (error) {
      this.drawn = { ...this.drawn, gaps: [messageOf(error)] };
    }
  }

  /** Resolves once the pictures of what has been read are there, or known to be missing. */
  async pictured(): Promise<void> {
    await this.picturing;
  }

  close(): void {
    this.metrics.close();
    this.incidents.close();
  }

  private async read(): Promise<void> {
    await this.readLines();
    if (this.config.look()) this.drawn = { ...this.drawn, settings: settingsIn(this.config.value) };
    if (this.evaluation.look()) {
      this.drawn = { ...this.drawn, evaluation: this.evaluation.value };
      this.picturing = this.picture(this.evaluation.value);
    }
    this.report.look();
    this.lookAround();
    const report = this.standing.state === 'finished' ? this.report.value : undefined;
    if (report !== this.drawn.report) this.drawn = { ...this.drawn, report };
  }

  private async picture(evaluation: Evaluation | undefined): Promise<void> {
    await this.picturing;
    if (evaluation && evaluation.mistakes.length > 0)
      this.pictures = await picturesOf(evaluation, this.config.value);
  }

  /** New lines of steps, epochs and incidents; other work gets its turn between two mebibytes. */
  private async readLines(): Promise<void> {
    for (;;) {
      const { lines, anew } = this.metrics.next();
      const faults = this.incidents.next();
      if (anew) {
        this.drawn = { ...this.drawn, curves: new StepCurves(), epochs: [], ranks: [] };
        this.broken = 0;
      }
      if (faults.anew) this.drawn = { ...this.drawn, incidents: [] };
      if (lines.length === 0 && faults.lines.length === 0) return;
      for (const line of lines) this.take(line);
      const incidents = faults.lines.map(readIncident).filter((one) => one !== undefined);
      const gaps = this.broken === 0 ? [] : [`metrics.jsonl has lines that cannot be read: ${this.broken}`];
      this.drawn = { ...this.drawn, incidents: [...this.drawn.incidents, ...incidents], gaps };
      await turn();
    }
  }

  private take(line: string): void {
    const record = readRecord(line);
    if (record?.kind === 'step') this.drawn.curves.add(record);
    else if (record?.kind === 'epoch') this.drawn.epochs.push(record);
    else if (record?.kind === 'ranks') this.drawn.ranks.push(record);
    else if (line !== '') this.broken++;
  }

  /** Who works on the run, and the logs there are. */
  private lookAround(): void {
    const { folder } = this;
    const holder = holderOf(folder);
    const job = readJobState(folder);
    const wishes = wishesOf(this.config.value);
    const epochs = (this.drawn.epochs.at(-1)?.epoch ?? -1) + 1;
    const whole = isWhole({ ...wishes, epochs, report: this.report.value });
    const begun = holder !== undefined || this.config.value !== undefined;
    const state = begun ? stateOf({ holder, ended: job?.ended, whole }) : undefined;
    this.standing = { state, holder, job, wantedEpochs: wishes.wantedEpochs };
    const names = namesIn(join(folder, 'logs')).filter(
      (name) => logName.test(name) && !this.logs.includes(name),
    );
    for (const name of names.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })))
      this.logs.push(name);
  }
}

function settingsIn(value: unknown): ReadonlyMap<string, unknown> {
  try {
    return flattenSettings(value);
  } catch {
    return new Map();
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => lstatSync(join(folder, name)).isFile());
  } catch {
    return [];
  }
}
