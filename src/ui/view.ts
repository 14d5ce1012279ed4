import type { Chart } from '../report/charts/chart.js';
import type { DrawnRun } from '../report/run.js';
import { evaluationSection, timeSection, trainingSection, type Section } from '../report/sections.js';
import { gapList, incidentTable, resultTable, settingsTable } from '../report/tables.js';
import { printableLines } from '../util/printable.js';
import type { FollowedRun } from './followed-run.js';
import { mistakeCards } from './mistakes.js';
import { logButtons, runTable, workerTable } from './tables.js';

/** A chart as a page has it. */
export interface DrawnChart {
  option: { series: { data: unknown[] }[] };
  square?: boolean;
  /** The option without its data, to be compared. */
  shell: string;
}

/** What a page shows: HTML by the id of its place, and charts by theirs. */
export interface View {
  html: ReadonlyMap<string, string>;
  charts: ReadonlyMap<string, DrawnChart>;
}

export const emptyView: View = { html: new Map(), charts: new Map() };

/** Makes the views of runs; parts without news are used again. */
export class Viewer {
  private drawn: readonly DrawnRun[] = [];
  private html = new Map<string, string>();
  private charts = new Map<string, DrawnChart>();
  private evaluation: { of: readonly unknown[]; section: Section } | undefined;

  constructor(private readonly runs: readonly FollowedRun[]) {}

  view(): View {
    const drawn = this.runs.map((run) => run.drawn);
    if (drawn.some((run, index) => run !== this.drawn[index])) this.draw(drawn);
    const html = new Map([
      ...this.html,
      ['now', runTable(this.runs)],
      ['workers', workerTable(this.runs)],
      ['mistakes', mistakeCards(this.runs)],
      ['logs', logButtons(this.runs)],
    ]);
    return { html, charts: this.charts };
  }

  private draw(drawn: readonly DrawnRun[]): void {
    this.drawn = drawn;
    const evaluations = drawn.map(({ evaluation }) => evaluation);
    if (!this.evaluation || evaluations.some((one, index) => one !== this.evaluation?.of[index]))
      this.evaluation = { of: evaluations, section: evaluationSection(drawn) };
    const sections = [trainingSection(drawn, 'extremes'), this.evaluation.section, timeSection(drawn)];
    this.html = new Map([
      ['gaps', gapList(drawn)],
      ['incidents', incidentTable(drawn)],
      ...sections.map(({ id, html }): [string, string] => [id, html]),
      ['results', evaluations.some(Boolean) || drawn.some(({ report }) => report) ? resultTable(drawn) : ''],
      ['settings', settingsTable(drawn)],
    ]);
    this.charts = new Map(
      sections.flatMap(({ charts }) => charts.map((chart) => [chart.id, drawnChart(chart)])),
    );
  }
}

function drawnChart({ option, square }: Chart): DrawnChart {
  const { series, ...rest } = readable(option) as DrawnChart['option'];
  const shell = JSON.stringify({ ...rest, series: series.map((one) => ({ ...one, data: undefined })) });
  return { option: { ...rest, series }, square, shell };
}

/** The same value; invisible characters in its texts are escaped. */
function readable(value: unknown): unknown {
  if (typeof value === 'string') return printableLines(value);
  if (Array.isArray(value)) return value.map(readable);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, readable(one)]));
}
