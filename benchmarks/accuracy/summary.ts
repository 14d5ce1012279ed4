import { render } from '../../src/bench/plot.js';
import type { Experiment, Group } from './experiments.js';
import type { Result, Results } from './results.js';
import { largest, smallest } from '../../src/util/extremes.js';

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

/** A Markdown table of the runs that are finished: accuracy with its spread over the seeds, and how soon it is there. */
export function table({ groups, threshold }: Experiment, results: Results): string {
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
    .map((group) => ({ group, all: results.of(group) }))
    .map(({ group, all }) => ({ group, all, runs: all.filter(hasFinished) }))
    .map(({ group, all, runs }) => ({ group, runs, lost: all.length - runs.length }))
    .filter(({ runs, lost }) => runs.length + lost > 0)
    .map(({ group, runs, lost }) => {
      if (runs.length === 0) return [group.label, String(lost), String(lost), '', '', '', '', '', ''];
      const ends = runs.map(({ accuracies }) => accuracies[accuracies.length - 1]);
      return [
        group.label,
        String(runs.length + lost),
        lost > 0 ? String(lost) : '',
        percent(mean(ends)),
        runs.length > 1 ? `± ${percent(deviation(ends))}` : '',
        percent(smallest(ends)),
        percent(largest(ends)),
        epochsTo(threshold, runs),
        mean(runs.map(({ trainLosses }) => trainLosses[trainLosses.length - 1])).toPrecision(4),
      ];
    });
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/**
 * Largest relative difference to the losses of the first group's run of the same seed, by group, over the first `steps`
 * steps and over all.
 */
export function differences({ groups }: Experiment, results: Results, steps: number): string {
  const [first, ...others] = groups.map((group) => ({ group, runs: finished(results, group) }));
  return others
    .map(({ group, runs }) => {
      const relative = runs.map(({ seed, stepLosses = [] }) => {
        const { stepLosses: own = [] } = first.runs.find((run) => run.seed === seed) ?? {};
        return stepLosses.slice(0, own.length).map((loss, index) => Math.abs(loss / own[index] - 1));
      });
      const differing = (most: number) =>
        largest(relative.flatMap((values) => values.slice(0, most))).toExponential(1);
      const all = largest(relative.map(({ length }) => length));
      return `${group.label} against ${first.group.label}: ${differing(steps)} over the first ${steps} steps, ${differing(all)} over all ${all}`;
    })
    .join('\n');
}

/** Training loss over steps of each group's first seed, as an SVG document. */
export function lossCurves(name: string, { groups }: Experiment, results: Results): string {
  const first = groups.map((group) => ({ group, runs: finished(results, group) }));
  return render({
    title: name,
    x: { name: 'step', log: false },
    y: { name: 'training loss', log: false },
    lines: first
      .filter(({ runs }) => runs.length > 0)
      .map(({ group, runs: [{ stepLosses = [] }] }) => ({
        name: group.label,
        points: stepLosses.map((loss, index): [number, number] => [index, loss]),
      })),
  });
}

/** Test accuracy over epochs, the mean of each group's seeds, as an SVG document. */
export function accuracyCurves(name: string, { groups }: Experiment, results: Results): string {
  return render({
    title: name,
    x: { name: 'epoch', log: false },
    y: { name: 'test accuracy', log: false },
    lines: groups
      .map((group) => ({ group, runs: finished(results, group) }))
      .filter(({ runs }) => runs.length > 0)
      .map(({ group, runs }) => ({
        name: group.label,
        points: runs[0].accuracies.map((_, epoch): [number, number] => [
          epoch + 1,
          mean(runs.map(({ accuracies }) => accuracies[epoch])),
        ]),
      })),
  });
}

/** The results of a group that did not diverge. */
function finished(results: Results, group: Group): Result[] {
  return results.of(group).filter(hasFinished);
}

function hasFinished({ diverged }: Result): boolean {
  return diverged === undefined;
}

/** Mean over the runs that reach the threshold, and the number of those that do not. */
function epochsTo(threshold: number, runs: readonly Result[]): string {
  const reached = runs
    .map(({ accuracies }) => accuracies.findIndex((accuracy) => accuracy >= threshold) + 1)
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
