import { describeDuration } from '../util/duration.js';
import { escapeHtml } from '../util/escape-html.js';
import type { DrawnRun } from './run.js';
import { runColour } from './charts/chart.js';

/** Most confusions in the table of one run. */
const mostConfusions = 10;

export type Cell = string | number | null | undefined;

/** Final numbers, a row a run. */
export function resultTable(runs: readonly DrawnRun[]): string {
  const head = [
    'run',
    'accuracy',
    'top-k',
    'own angle',
    'other angle',
    'SC share',
    'calibration error',
    'confidence AUROC',
    'epochs',
    'workers',
    'images/s',
    'time',
  ];
  const rows = runs.map((run, index) => {
    const { report, evaluation, epochs } = run;
    const last = epochs.at(-1);
    const accuracy = evaluation?.accuracy ?? report?.evalAccuracy ?? last?.evalAccuracy;
    return [
      `<td>${runName(run.name, index)}</td>`,
      ...[
        evaluation?.mirrored ? `${share(accuracy)} (mirrored)` : share(accuracy),
        evaluation && evaluation.topK.k > 1
          ? `${share(evaluation.topK.accuracy)} (top-${evaluation.topK.k})`
          : undefined,
        angle(evaluation?.angles.own.mean),
        angle(evaluation?.angles.other.mean),
        share(evaluation?.correlation?.offDiagonalShare),
        share(evaluation?.reliability.error),
        evaluation?.reliability.separation?.toFixed(3),
        `${(last?.epoch ?? -1) + 1} of ${cell(run.settings.get('epochs') as Cell)}`,
        report ? `${report.worldSize} × ${report.backend}` : (run.settings.get('workers') as Cell),
        report?.samplesPerSecond.toFixed(0),
        report ? describeDuration(report.seconds) : undefined,
      ].map((value) => `<td>${cell(value)}</td>`),
    ].join('');
  });
  return table(head, rows);
}

/** A run's name, with the colour of its curves. */
export function runName(name: string, index: number): string {
  return `<span class="run"><i style="background:var(--${runColour(index).slice(1)})"></i>${escapeHtml(name)}</span>`;
}

/** Settings that differ between the runs; for one run, all of them. */
export function settingsTable(runs: readonly DrawnRun[]): string {
  const known = runs.filter(({ settings }) => settings.size > 0);
  const paths = [...new Set(known.flatMap(({ settings }) => [...settings.keys()]))];
  const text = (run: DrawnRun, path: string) => {
    const value = run.settings.get(path);
    return value === undefined ? undefined : typeof value === 'string' ? value : JSON.stringify(value);
  };
  const differing =
    known.length < 2 ? paths : paths.filter((path) => new Set(known.map((run) => text(run, path))).size > 1);
  if (differing.length === 0) return known.length > 1 ? '<p>All settings are the same.</p>' : '';
  const rows = differing.map((path) =>
    [
      `<th scope="row">${escapeHtml(path)}</th>`,
      ...runs.map((run) => `<td>${cell(text(run, path))}</td>`),
    ].join(''),
  );
  const shown = table(['setting', ...runs.map(({ name }) => name)], rows);
  return known.length > 1
    ? shown
    : `<details><summary>${differing.length} settings</summary>${shown}</details>`;
}

/** The most frequent wrong assignments of each run. */
export function confusionTables(runs: readonly DrawnRun[]): string[] {
  return runs.flatMap(({ name, evaluation }) => {
    if (!evaluation || evaluation.confusions.length === 0) return [];
    const className = (label: number) => escapeHtml(evaluation.classNames[label] ?? 'no class');
    const rows = evaluation.confusions.slice(0, mostConfusions).map(({ label, assigned, images }) => {
      const all = evaluation.classTotal[label];
      return `<td>${className(label)}</td><td>${className(assigned)}</td><td>${images} of ${all}</td>`;
    });
    const title = runs.length > 1 ? `: ${escapeHtml(name)}` : '';
    return [
      `<figure class="card"><figcaption><h3>Most frequent confusions${title}</h3></figcaption>${table(['true class', 'assigned', 'images'], rows)}</figure>`,
    ];
  });
}

/** Incidents that are shown at once; more of them fold away. */
const shownIncidents = 20;

/** The faults that runs have gone on from, a row each; empty where there are none. */
export function incidentTable(runs: readonly DrawnRun[]): string {
  const rows = runs.flatMap(({ name, incidents }) =>
    incidents.map(({ time, step, rank, host, cause, replayed, seconds, worldSize }) =>
      [
        ...(runs.length > 1 ? [name] : []),
        ...[time.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'), step === undefined ? undefined : step + 1],
        ...[rank, host, cause, replayed, seconds.toFixed(2), worldSize],
      ]
        .map((value) => `<td>${cell(value)}</td>`)
        .join(''),
    ),
  );
  if (rows.length === 0) return '';
  const head = [
    ...(runs.length > 1 ? ['run'] : []),
    ...['time', 'in step', 'rank', 'host', 'cause', 'steps made again', 'seconds', 'workers after it'],
  ];
  const shown = table(head, rows);
  return rows.length > shownIncidents
    ? `<details><summary>${rows.length} incidents</summary>${shown}</details>`
    : shown;
}

/** List of the missing parts of the runs; empty where nothing is missing. */
export function gapList(runs: readonly DrawnRun[]): string {
  const lines = runs.flatMap(({ name, gaps }) =>
    gaps.map((gap) => `<li>${runs.length > 1 ? `<b>${escapeHtml(name)}</b>: ` : ''}${escapeHtml(gap)}</li>`),
  );
  return lines.length > 0 ? `<aside><h2>Not all is here</h2><ul>${lines.join('')}</ul></aside>` : '';
}

/** A table; each row is its cells as HTML. */
export function table(head: readonly string[], rows: readonly string[]): string {
  const cells = head.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join('');
  const body = rows.map((row) => `<tr>${row}</tr>`).join('');
  return `<div class="scroll"><table><thead><tr>${cells}</tr></thead><tbody>${body}</tbody></table></div>`;
}

/** The content of a cell: text, or a dash. */
export function cell(value: Cell): string {
  return value === undefined || value === null || value === '' ? '–' : escapeHtml(String(value));
}

/** A share as a percentage. */
export function share(value: number | null | undefined): string | undefined {
  return value === null || value === undefined ? undefined : `${(100 * value).toFixed(2)} %`;
}

function angle(value: number | null | undefined): string | undefined {
  return value === null || value === undefined ? undefined : `${value.toFixed(1)}°`;
}
