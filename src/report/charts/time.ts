import type { DrawnRun } from '../run.js';
import { round } from '../series.js';
import type { Point } from '../step-curves.js';
import {
  axisOption,
  curveName,
  gridOption,
  legend,
  lineOption,
  runColour,
  type Chart,
  type Curve,
} from './chart.js';
import { largest } from '../../util/extremes.js';

/** Where the time went: throughput over the epochs, and what each rank waited for. */
export function timeCharts(runs: readonly DrawnRun[]): Chart[] {
  const timed = runs.map((run, index) => ({ run, index })).filter(({ run }) => run.ranks.length > 0);
  if (timed.length === 0) return [];
  const curves = timed.map(({ run, index }): Curve => {
    const points = run.ranks.map(({ epoch, ranks }): Point => {
      const images = ranks.reduce((sum, rank) => sum + rank.images, 0);
      return [epoch + 1, round(images / largest(ranks.map(({ seconds }) => seconds)))];
    });
    return {
      name: curveName(runs, run, 'images/s'),
      points,
      colour: runColour(index),
      dots: points.length <= 60,
    };
  });
  return [
    {
      id: 'throughput',
      title: 'Throughput',
      caption: 'Training images of all ranks a second, by epoch; evaluation left out.',
      option: lineOption({ name: 'epochs trained', min: 0 }, { name: 'images/s', min: 0 }, curves),
    },
    waiting(timed.map(({ run }) => run)),
  ];
}

/** Mean seconds of an epoch that a rank computed, waited for its loader, and waited in collectives. */
function waiting(runs: readonly DrawnRun[]): Chart {
  const rows = runs.flatMap((run) =>
    (run.ranks[0]?.ranks ?? []).map((_, rank) => {
      const epochs = run.ranks.flatMap(({ ranks }) => (ranks[rank] ? [ranks[rank]] : []));
      const mean = (value: (times: (typeof epochs)[number]) => number) =>
        epochs.reduce((sum, times) => sum + value(times), 0) / epochs.length;
      const [seconds, loader, exposed] = [
        mean((times) => times.seconds),
        mean((times) => times.loaderSeconds),
        mean((times) => times.exposedSeconds),
      ];
      return {
        name: runs.length > 1 ? `${run.name} · rank ${rank}` : `rank ${rank}`,
        parts: { computing: seconds - loader - exposed, exposed, loader },
      };
    }),
  );
  const parts = [
    { name: 'computing', key: 'computing' },
    { name: 'waiting for other workers', key: 'exposed' },
    { name: 'waiting for the loader', key: 'loader' },
  ] as const;
  return {
    id: 'waiting',
    title: 'Where each rank spends an epoch',
    caption:
      'Mean seconds of an epoch of training. Exposed communication is what the compute thread waited in collectives, for the other ranks included; what is hidden behind the backward pass does not show.',
    height: Math.max(220, 110 + 34 * rows.length),
    option: {
      grid: gridOption(true, 12),
      legend: legend(true),
      tooltip: { trigger: 'axis', confine: true, axisPointer: { type: 'shadow' } },
      xAxis: axisOption({ name: 'seconds an epoch', min: 0 }, 'middle', 28),
      yAxis: { type: 'category', inverse: true, data: rows.map(({ name }) => name) },
      series: parts.map(({ name, key }, part) => ({
        type: 'bar',
        name,
        stack: 'time',
        barMaxWidth: 26,
        itemStyle: { color: runColour(part) },
        data: rows.map(({ parts }) => round(Math.max(0, parts[key]))),
      })),
    },
  };
}
