import { escapeHtml } from '../util/escape-html.js';
import type { Chart } from './charts/chart.js';
import { comparedCharts, type Evaluated } from './charts/compared.js';
import { trainingCharts } from './charts/curves.js';
import { ownCharts } from './charts/own.js';
import { timeCharts } from './charts/time.js';
import type { DrawnRun } from './run.js';
import type { Thinning } from './step-curves.js';
import { confusionTables } from './tables.js';

/** Charts of a page, and the place of each. */
export interface Section {
  id: 'training' | 'evaluation' | 'time';
  title: string;
  charts: Chart[];
  /** The cards that the charts are drawn in, in grids. */
  html: string;
}

/** Curves of the training. */
export function trainingSection(runs: readonly DrawnRun[], thinning: Thinning): Section {
  return section('training', 'Training', trainingCharts(runs, thinning));
}

/** What each rank's time went to. */
export function timeSection(runs: readonly DrawnRun[]): Section {
  return section('time', 'Time', timeCharts(runs));
}

/** Pictures that compare all runs that have an evaluation, then pictures of one run each, side by side by kind. */
export function evaluationSection(runs: readonly DrawnRun[]): Section {
  const evaluated = runs.flatMap((run, index): Evaluated[] =>
    run.evaluation ? [{ run, evaluation: run.evaluation, index }] : [],
  );
  if (evaluated.length === 0) return section('evaluation', 'Evaluation', []);
  const compared = comparedCharts(evaluated);
  const { confusions, angles, planes } = ownCharts(evaluated);
  const tables = confusionTables(evaluated.map(({ run }) => run));
  const kinds = [confusions.map(card), tables, angles.map(card), planes.map(card)];
  const own = evaluated.length > 1 ? kinds.map((cards) => grid(cards, 'narrow')) : [grid(kinds.flat())];
  return {
    id: 'evaluation',
    title: 'Evaluation',
    charts: [...compared, ...confusions, ...angles, ...planes],
    html: [grid(compared.map(card)), ...own].join('\n'),
  };
}

function section(id: Section['id'], title: string, charts: Chart[]): Section {
  return { id, title, charts, html: grid(charts.map(card)) };
}

function grid(cards: readonly string[], kind = ''): string {
  return cards.length > 0 ? `<div class="grid ${kind}">${cards.join('')}</div>` : '';
}

function card({ id, title, caption, height = 320, wide }: Chart): string {
  return `<figure class="card${wide ? ' wide' : ''}"><figcaption><h3>${escapeHtml(title)}</h3><p>${escapeHtml(caption)}</p></figcaption><div class="chart" id="${id}" role="img" aria-label="${escapeHtml(`${title}. ${caption}`)}" style="height:${height}px"></div></figure>`;
}
