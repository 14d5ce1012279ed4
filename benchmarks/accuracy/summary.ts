import { render } from '../plot.js';
import type { Experiment } from './experiments.js';
import { diverged, finished, type FinishedRun } from './runs.js';

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

/** A Markdown table of the runs that are finished: accuracy with its spread over the seeds, and how soon it is there. */
export function table(name: string, { groups, threshold }: Experiment, out: string): string {
  const head = [
    '',
    'seeds',
    'diverged',
    'test accuracy',
    'spread',
    'least',
    'most',
    `epochs to ${100 * threshold} %`,
    'last loss',
  ];
  const rows = groups
    .map((group) => ({ group, runs: finished(out, name, group), lost: diverged(out, name, group) }))
    .filter(({ runs, lost }) => runs.length + lost > 0)
    .map(({ group, runs, lost }) => {
      if (runs.length === 0) return [group.label, String(lost), String(lost), '', '', '', '', '', ''];
      const accuracies = runs.map(({ report }) => report.evalAccuracy);
      return [
        group.label,
        String(runs.length + lost),
        lost > 0 ? String(lost) : '',
        percent(mean(accuracies)),
        runs.length > 1 ? `± ${percent(deviation(accuracies))}` : '',
        percent(Math.min(...accuracies)),
        percent(Math.max(...accuracies)),
        epochsTo(threshold, runs),
        mean(runs.map(({ epochs }) => epochs[epochs.length - 1].trainLoss)).toPrecision(4),
      ];
    });
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Largest relative difference to the first group's losses, by group, over the first `steps` steps and over all. */
export function differences(name: string, { groups }: Experiment, out: string, steps: number): string {
  const [first, ...others] = groups.flatMap((group) =>
    finished(out, name, group).map((run) => ({ label: group.label, run })),
  );
  return others
    .map(({ label, run }) => {
      const relative = run.steps.map(({ loss }, index) => Math.abs(loss / first.run.steps[index].loss - 1));
      const largest = (values: readonly number[]) => Math.max(...values).toExponential(1);
      return `${label} against ${first.label}: ${largest(relative.slice(0, steps))} over the first ${steps} steps, ${largest(relative)} over all ${relative.length}`;
    })
    .join('\n');
}

/** Training loss over steps of each group's first seed, as an SVG document. */
export function lossCurves(name: string, { groups }: Experiment, out: string): string {
  const first = groups.map((group) => ({ group, runs: finished(out, name, group) }));
  return render({
    title: name,
    x: { name: 'step', log: false },
    y: { name: 'training loss', log: false },
    lines: first
      .filter(({ runs }) => runs.length > 0)
      .map(({ group, runs: [{ steps }] }) => ({
        name: group.label,
        points: steps.map(({ loss }, index): [number, number] => [index, loss]),
      })),
  });
}

/** Test accuracy over epochs, the mean of each group's seeds, as an SVG document. */
export function accuracyCurves(name: string, { groups }: Experiment, out: string): string {
  return render({
    title: name,
    x: { name: 'epoch', log: false },
    y: { name: 'test accuracy', log: false },
    lines: groups
      .map((group) => ({ group, runs: finished(out, name, group) }))
      .filter(({ runs }) => runs.length > 0)
      .map(({ group, runs }) => ({
        name: group.label,
        points: runs[0].epochs.map((_, epoch): [number, number] => [
          epoch + 1,
          mean(runs.map(({ epochs }) => epochs[epoch].evalAccuracy)),
        ]),
      })),
  });
}

/** Mean over the runs that get there, and how many do not. */
function epochsTo(threshold: number, runs: readonly FinishedRun[]): string {
  const reached = runs
    .map(({ epochs }) => epochs.findIndex(({ evalAccuracy }) => evalAccuracy >= threshold) + 1)
    .filter((epoch) => epoch > 0);
  if (reached.length === 0) return 'never';
  const missed = runs.length - reached.length;
  return `${mean(reached).toFixed(1)}${missed > 0 ? ` (${missed} never)` : ''}`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard deviation of the sample, over n - 1. */
function deviation(values: readonly number[]): number {
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}
