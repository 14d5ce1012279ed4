import { readFileSync } from 'node:fs';
import { asset, legend } from '../report/assets.js';
import { escapeHtml } from '../util/escape-html.js';

/** Places of the page, in order, and their headings. */
const places = [
  ['now', 'Runs'],
  ['workers', 'Workers'],
  ['incidents', 'Incidents'],
  ['training', 'Training'],
  ['evaluation', 'Evaluation'],
  ['mistakes', 'Wrong images'],
  ['time', 'Time'],
  ['logs', 'Logs'],
  ['results', 'Results'],
  ['settings', 'Settings'],
] as const;

/** Files of the page by name, and their types. */
export function pageFiles(names: readonly string[]): ReadonlyMap<string, { type: string; body: string }> {
  const own = (name: 'ui.js' | 'ui.css') =>
    readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8');
  const script = 'text/javascript';
  return new Map([
    ['', { type: 'text/html; charset=utf-8', body: page(names) }],
    ['echarts.js', { type: script, body: asset('echarts.js') }],
    ['charts.js', { type: script, body: asset('charts.js') }],
    ['ui.js', { type: script, body: own('ui.js') }],
    ['page.css', { type: 'text/css', body: asset('page.css') + own('ui.css') }],
  ]);
}

function page(names: readonly string[]): string {
  const title = escapeHtml(names.join(', '));
  const sections = places.map(
    ([id, heading]) =>
      `<section id="${id}-section" hidden><h2>${heading}</h2><div id="${id}"></div>${id === 'logs' ? '<pre id="log" tabindex="0" hidden></pre>' : ''}</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · pod-dist</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
</head>
<body>
<header><p>pod-dist <b id="link" class="state starting" role="status">connecting</b></p><h1>${title}</h1></header>
<main>
<div id="gaps"></div>
${sections.join('\n')}
</main>
<footer>${legend}</footer>
<script src="echarts.js"></script>
<script src="charts.js"></script>
<script src="ui.js"></script>
</body>
</html>
`;
}
