import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Chart } from './charts/chart.js';
import { comparedCharts, type Evaluated } from './charts/compared.js';
import { trainingCharts } from './charts/curves.js';
import { ownCharts } from './charts/own.js';
import { timeCharts } from './charts/time.js';
import { escapeHtml } from '../util/escape-html.js';
import { scriptJson } from './html.js';
import type { RecordedRun } from './run.js';
import { confusionTables, gapList, incidentTable, resultTable, settingsTable } from './tables.js';

interface Section {
  title: string;
  charts: Chart[];
  /** The charts in grids. */
  html: string;
}

/**
 * One self-contained HTML page about runs: styles, data and the plotting library (Apache ECharts) are in it, and its
 * content security policy forbids the network and any script but its own, by their hashes. Styles in line stay
 * allowed, since the charts are drawn with them.
 */
export function reportPage(runs: readonly RecordedRun[]): string {
  const evaluated = runs.flatMap((run, index): Evaluated[] =>
    run.evaluation ? [{ run, evaluation: run.evaluation, index }] : [],
  );
  const sections = [
    section('Training', trainingCharts(runs)),
    ...(evaluated.length > 0 ? [evaluationSection(evaluated)] : []),
    section('Time', timeCharts(runs)),
  ].filter(({ charts }) => charts.length > 0);
  const charts = sections.flatMap((section) => section.charts);
  const title = runs.map(({ name }) => name).join(', ');
  const settings = settingsTable(runs);
  const incidents = incidentTable(runs);
  const style = asset('page.css');
  const scripts = [plottingLibrary(), asset('page.js')];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ${scripts.map(hashSource).join(' ')}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<title>${escapeHtml(title)} · pod-dist report</title>
<style>${style}</style>
</head>
<body>
<header><p>pod-dist report</p><h1>${escapeHtml(title)}</h1></header>
<main>
${gapList(runs)}
<section><h2>Results</h2>${resultTable(runs)}</section>
${settings === '' ? '' : `<section><h2>${runs.length > 1 ? 'Settings that differ' : 'Settings'}</h2>${settings}</section>`}
${incidents === '' ? '' : `<section id="incidents"><h2>Incidents</h2><p>Faults that the run has gone on from, without a trace in its weights.</p>${incidents}</section>`}
${sections.map(({ title, html }) => `<section><h2>${title}</h2>${html}</section>`).join('\n')}
</main>
<footer>Test images are those of the test split. Angles are those between features and class vectors; margins and thresholds are of cosines, for softmax of probabilities. “SC share” is the share of the squares of the features’ correlation that lies off its diagonal; “calibration error” that of softmax’s probabilities or, for all other losses, of the margin between the best and the second best cosine, read as the confidence (1 + margin) / 2; “confidence AUROC” the probability that a rightly assigned image has a larger one than a wrong one.</footer>
<script>${scripts[0]}</script>
<script type="application/json" id="charts">${scriptJson(charts.map(({ id, option, square }) => ({ id, option, square })))}</script>
<script>${scripts[1]}</script>
</body>
</html>
`;
}

function section(title: string, charts: Chart[]): Section {
  return { title, charts, html: grid(charts.map(card)) };
}

/** Section of the evaluations: pictures that compare all runs, then pictures of one run each, side by side by kind. */
function evaluationSection(evaluated: readonly Evaluated[]): Section {
  const compared = comparedCharts(evaluated);
  const { confusions, angles, planes } = ownCharts(evaluated);
  const tables = confusionTables(evaluated.map(({ run }) => run));
  const kinds = [confusions.map(card), tables, angles.map(card), planes.map(card)];
  const own = evaluated.length > 1 ? kinds.map((cards) => grid(cards, 'narrow')) : [grid(kinds.flat())];
  return {
    title: 'Evaluation',
    charts: [...compared, ...confusions, ...angles, ...planes],
    html: [grid(compared.map(card)), ...own].join('\n'),
  };
}

function grid(cards: readonly string[], kind = ''): string {
  return cards.length > 0 ? `<div class="grid ${kind}">${cards.join('')}</div>` : '';
}

function card({ id, title, caption, height = 320, wide }: Chart): string {
  return `<figure class="card${wide ? ' wide' : ''}"><figcaption><h3>${escapeHtml(title)}</h3><p>${escapeHtml(caption)}</p></figcaption><div class="chart" id="${id}" role="img" aria-label="${escapeHtml(`${title}. ${caption}`)}" style="height:${height}px"></div></figure>`;
}

/** Source by which a content security policy allows a script of the page: its hash. */
function hashSource(script: string): string {
  return `'sha256-${createHash('sha256').update(script).digest('base64')}'`;
}

function asset(name: string): string {
  return readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8');
}

function plottingLibrary(): string {
  return asset('echarts.js').replaceAll('</script', '<\\/script');
}
