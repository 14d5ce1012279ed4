import { hostname } from 'node:os';
import type { DrawnRun } from '../report/run.js';
import { stepsPerEpoch } from '../report/series.js';
import { cell, runName, share, table, type Cell } from '../report/tables.js';
import { describeDuration } from '../util/duration.js';
import { escapeHtml } from '../util/escape-html.js';
import { isRunning, isStopped, processSpace } from '../util/processes.js';
import type { FollowedRun, Standing } from './followed-run.js';

/** How each run stands, a row a run. */
export function runTable(runs: readonly FollowedRun[]): string {
  const head = ['run', 'state', 'epochs', 'steps', 'loss', 'accuracy', 'images/s', 'left', 'by'];
  const rows = runs.map(({ drawn, standing }, index) => {
    const { epochs, curves } = drawn;
    const { state = 'starting', wantedEpochs, holder, job } = standing;
    const last = epochs.at(-1);
    const running = state === 'running';
    const values: Cell[] = [
      `${(last?.epoch ?? -1) + 1}${wantedEpochs === undefined ? '' : ` of ${wantedEpochs}`}`,
      curves.last && curves.last.step + 1,
      curves.last?.loss.toPrecision(4),
      share(last?.evalAccuracy),
      running ? curves.last?.samplesPerSecond.toFixed(0) : undefined,
      running ? timeLeft(drawn, wantedEpochs) : undefined,
      holder ? `process ${holder.pid} on ${holder.host}` : job?.ended?.message,
    ];
    return [runName(drawn.name, index), stateMark(state, state), ...values.map(cell)];
  });
  return labelled(head, rows);
}

/** A table whose cells name their columns, for screens on which each row becomes a card. */
function labelled(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[]) =>
    row.map((html, column) => `<td data-label="${escapeHtml(head[column] ?? '')}">${html}</td>`).join('');
  return table(head, rows.map(cells));
}

function stateMark(kind: string, words: string): string {
  return `<b class="state ${kind}">${escapeHtml(words)}</b>`;
}

/** Time for the steps that are left, by the speed of the last one; evaluations are left out. */
function timeLeft(run: DrawnRun, wantedEpochs = 0): string | undefined {
  const each = stepsPerEpoch(run);
  const { last } = run.curves;
  const images = run.settings.get('batchSize');
  if (!last || each === undefined || typeof images !== 'number' || !(last.samplesPerSecond > 0))
    return undefined;
  const accumulate = run.settings.get('accumulate');
  const batch = images * (typeof accumulate === 'number' ? accumulate : 1);
  const steps = Math.max(0, wantedEpochs * each - last.step - 1);
  return `about ${describeDuration((steps * batch) / last.samplesPerSecond)}`;
}

/** Workers of a run, at most, that have a row each. */
const mostWorkers = 256;

/** The workers of each run with their state, and where the time of their last epoch went. */
export function workerTable(runs: readonly FollowedRun[]): string {
  const several = runs.length > 1;
  const rows = runs.flatMap(({ drawn, standing }) =>
    workersOf(drawn, standing)
      .slice(0, mostWorkers)
      .map(({ who, state, values }) => [
        escapeHtml(several ? `${drawn.name} · ${who}` : who),
        stateMark(state.kind, state.words),
        ...values.map(cell),
      ]),
  );
  const head = [
    'worker',
    'state',
    'host',
    'process',
    'images',
    'seconds',
    'waited for others',
    'for the loader',
  ];
  return rows.length > 0 ? labelled(head, rows) : '';
}

interface WorkerRow {
  who: string;
  state: { kind: string; words: string };
  values: Cell[];
}

function workersOf(run: DrawnRun, { state, holder, job }: Standing): WorkerRow[] {
  const here = job?.agent.machine === processSpace();
  const times = run.ranks.at(-1)?.ranks ?? [];
  const timesOf = (rank: number): Cell[] => {
    const of = times[rank];
    if (!of) return [undefined, undefined, undefined, undefined];
    const part = (seconds: number) => (of.seconds > 0 ? share(seconds / of.seconds) : undefined);
    return [of.images, of.seconds.toFixed(1), part(of.exposedSeconds), part(of.loaderSeconds)];
  };
  if (state !== 'running')
    return times.map((_, rank) => ({
      who: `rank ${rank}`,
      state: { kind: 'ended', words: 'ended' },
      values: [undefined, undefined, ...timesOf(rank)],
    }));
  if (!job || job.ranks.length === 0)
    return holder
      ? [
          {
            who: 'rank 0',
            state: { kind: 'running', words: 'works' },
            values: [holder.host, holder.pid, ...timesOf(0)],
          },
        ]
      : [];
  const ranks = job.ranks.map(({ rank, host, pid }) => ({
    who: `rank ${rank}`,
    state: stateOfProcess(host, pid, here),
    values: [host, pid, ...timesOf(rank)],
  }));
  const spares = job.spares.map(({ host, pid }) => ({
    who: 'spare',
    state: { kind: 'spare', words: 'waits' },
    values: [host, pid, ...timesOf(-1)],
  }));
  return [...ranks, ...spares];
}

function stateOfProcess(host: string, pid: number, here: boolean): WorkerRow['state'] {
  if (!here || host !== hostname()) return { kind: 'running', words: 'works, on another host' };
  if (!isRunning({ pid, started: null })) return { kind: 'failed', words: 'has ended' };
  if (isStopped(pid)) return { kind: 'stopped', words: 'stopped' };
  return { kind: 'running', words: 'works' };
}

/** A button for each log. */
export function logButtons(runs: readonly FollowedRun[]): string {
  return runs
    .map(({ drawn, logs }, run) => {
      const buttons = logs.map(
        (name, log) =>
          `<button type="button" data-log="${run}/${log}">${escapeHtml(name.replace(/\.log$/, '').replace('-', ' '))}</button>`,
      );
      if (buttons.length === 0) return '';
      const name = runs.length > 1 ? `<b>${escapeHtml(drawn.name)}</b> ` : '';
      return `<p class="logs">${name}${buttons.join(' ')}</p>`;
    })
    .join('');
}
