import { createHash } from 'node:crypto';
import { escapeHtml } from '../util/escape-html.js';
import { asset, legend } from './assets.js';
import { scriptJson } from './html.js';
import type { DrawnRun } from './run.js';
import { evaluationSection, timeSection, trainingSection } from './sections.js';
import { gapList, incidentTable, resultTable, settingsTable } from './tables.js';

/**
 * One self-contained HTML page about runs: styles, data and the plotting library (Apache ECharts) are in it, and its
 * content security policy forbids the network and any script but its own, by their hashes. Styles in line stay
 * allowed, since the charts are drawn with them.
 */
export function reportPage(runs: readonly DrawnRun[]): string {
  const sections = [trainingSection(runs, 'mean'), evaluationSection(runs), timeSection(runs)].filter(
    ({ charts }) => charts.length > 0,
  );
  const charts = sections.flatMap((section) => section.charts);
  const title = runs.map(({ name }) => name).join(', ');
  const settings = settingsTable(runs);
  const incidents = incidentTable(runs);
  const style = asset('page.css');
  const scripts = [asset('echarts.js'), asset('charts.js'), asset('page.js')].map(embedded);
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
<footer>${legend}</footer>
<script>${scripts[0]}</script>
<script type="application/json" id="charts">${scriptJson(charts.map(({ id, option, square }) => ({ id, option, square })))}</script>
<script>${scripts[1]}</script>
<script>${scripts[2]}</script>
</body>
</html>
`;
}

/** Source by which a content security policy allows a script of the page: its hash. */
function hashSource(script: string): string {
  return `'sha256-${createHash('sha256').update(script).digest('base64')}'`;
}

/** A script as it may stand in a page. */
function embedded(script: string): string {
  return script.replaceAll('</script', '<\\/script');
}
