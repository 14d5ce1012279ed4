import type { Evaluation } from '../../evaluation/schema.js';
import type { DrawnRun } from '../run.js';
import { round } from '../series.js';
import type { Point } from '../step-curves.js';
import {
  axisOption,
  classAxis,
  curveName,
  gridOption,
  legend,
  lineOption,
  percent,
  runColour,
  type Chart,
  type Curve,
} from './chart.js';
import { present } from '../../util/present.js';

/** A run that was evaluated, with its place among all runs, which gives it its colour. */
export interface Evaluated {
  run: DrawnRun;
  evaluation: Evaluation;
  index: number;
}

/** Most classes whose bars fit one picture. */
const mostBars = 40;

/** Charts of the evaluations, all runs in one picture each. */
export function comparedCharts(all: readonly Evaluated[]): Chart[] {
  const runs = all.map(({ run }) => run);
  return [
    classes(all, runs),
    reliability(all, runs),
    ...rejection(all, runs),
    ...unknown(all, runs),
    norms(all, runs),
  ];
}

function classes(all: readonly Evaluated[], runs: readonly DrawnRun[]): Chart {
  const { evaluation: first } = present(all[0], 'an evaluation');
  const { classNames } = first;
  const accuracy = ({ classTotal, classCorrect }: Evaluation, label: number) =>
    ratio(classCorrect[label], classTotal[label]) ?? 0;
  const worst = [...classNames.keys()]
    .sort((a, b) => accuracy(first, a) - accuracy(first, b))
    .slice(0, mostBars)
    .sort((a, b) => a - b);
  const few = worst.length < classNames.length;
  return {
    id: 'class-accuracy',
    title: 'Accuracy by class',
    caption: few
      ? `The ${mostBars} of ${classNames.length} classes that the first run recognises worst.`
      : 'Share of the test images of each class that are assigned to it.',
    wide: worst.length > 15,
    option: {
      grid: gridOption(runs.length > 1),
      legend: legend(runs.length > 1),
      tooltip: { trigger: 'axis', confine: true, axisPointer: { type: 'shadow' } },
      xAxis: classAxis(
        'class',
        worst.map((label) => classNames[label] ?? ''),
        'bottom',
      ),
      yAxis: axisOption({ name: 'accuracy', min: 0, max: 100, unit: ' %' }, 'end', 12),
      series: all.map(({ run, evaluation, index }) => ({
        type: 'bar',
        name: curveName(runs, run, 'accuracy'),
        itemStyle: { color: runColour(index) },
        barMaxWidth: 28,
        data: worst.map((label) => percent(accuracy(evaluation, label))),
      })),
    },
  };
}

const confidences = {
  cosine: 'margin, the best cosine less the second best',
  probability: 'probability of the assigned class (softmax)',
};

function reliability(all: readonly Evaluated[], runs: readonly DrawnRun[]): Chart {
  const curves = all.map(({ run, evaluation, index }): Curve => {
    const filled = evaluation.reliability.bins.filter(({ images }) => images > 0);
    return {
      name: curveName(runs, run, 'accuracy'),
      points: filled.map(({ from, to, images, correct }): Point => [
        round((from + to) / 2),
        percent(correct / images),
      ]),
      colour: runColour(index),
      dots: true,
      sizes: filled.map(({ images }) => Math.round(4 + 14 * Math.sqrt(images / evaluation.total))),
    };
  });
  const scales = [...new Set(all.map(({ evaluation }) => evaluation.scale))];
  const expected = scales.map((scale): Curve => ({
    name: scale === 'cosine' ? 'confidence (1 + margin) / 2' : 'confidence = probability',
    points: [
      [0, scale === 'cosine' ? 50 : 0],
      [1, 100],
    ],
    colour: '@muted',
    dash: 2,
  }));
  const what = scales.map((scale) => confidences[scale]).join('; ');
  return {
    id: 'reliability',
    title: 'Reliability of the confidence',
    caption: `Accuracy of the images by ${what}; larger dots hold more images. Above its dotted line a confidence is too modest, below too sure.`,
    option: lineOption(
      { name: scales.map((scale) => (scale === 'cosine' ? 'margin' : scale)).join(' or '), min: 0, max: 1 },
      { name: 'accuracy', min: 0, max: 100, unit: ' %' },
      [...curves, ...expected],
    ),
  };
}

function rejection(all: readonly Evaluated[], runs: readonly DrawnRun[]): Chart[] {
  const single = runs.length === 1;
  const accepted = all.flatMap(({ run, evaluation: { rejection, total }, index }): Curve[] => {
    const points = over(rejection.thresholds, (at) => ratio(rejection.accepted[at], total));
    const { unknown } = rejection;
    const known: Curve = {
      name: curveName(runs, run, 'test images accepted'),
      points,
      colour: runColour(index),
    };
    if (!unknown) return [known];
    const strangers = over(rejection.thresholds, (at) => ratio(unknown.accepted[at], unknown.images));
    const colour = runColour(single ? 2 : index);
    return [known, { name: curveName(runs, run, 'unknown accepted'), points: strangers, colour, dash: 2 }];
  });
  const accuracy = all.map(({ run, evaluation: { rejection }, index }): Curve => {
    const { thresholds, accepted, correct } = rejection;
    const points = over(thresholds, (at) => ratio(correct[at], accepted[at]));
    const colour = runColour(single ? 1 : index);
    return { name: curveName(runs, run, 'accuracy of the accepted'), points, colour, dash: single ? 1 : 0 };
  });
  const scales = [...new Set(all.map(({ evaluation }) => evaluation.scale))].join(' or ');
  const threshold = { name: `threshold on the ${scales}`, min: 0, max: 1 };
  const rule = `An image is accepted where the ${scales} of its assigned class is at least the threshold`;
  const dotted = accepted.some(({ dash }) => dash === 2) ? ' Dotted: images of unknown classes.' : '';
  const share = { name: 'share', min: 0, max: 100, unit: ' %' };
  if (single) {
    const caption = `${rule}: how many of the test images are, and how many of those are right.${dotted}`;
    const option = lineOption(threshold, share, [...accepted, ...accuracy]);
    return [{ id: 'rejection', title: 'Rejection by a threshold', caption, option }];
  }
  return [
    {
      id: 'rejection',
      title: 'Accepted by a threshold',
      caption: `${rule}.${dotted}`,
      option: lineOption(threshold, { ...share, name: 'accepted' }, accepted),
    },
    {
      id: 'rejection-accuracy',
      title: 'Accuracy of the accepted',
      caption: 'How many of the accepted test images are right.',
      option: lineOption(threshold, { name: 'accuracy', max: 100, unit: ' %' }, accuracy),
    },
  ];
}

/** A share over all thresholds, where there is one. */
function over(thresholds: readonly number[], value: (at: number) => number | undefined): Point[] {
  return thresholds.flatMap((threshold, at): Point[] => {
    const share = value(at);
    return share === undefined ? [] : [[threshold, percent(share)]];
  });
}

function ratio(count = 0, total = 0): number | undefined {
  return total > 0 ? count / total : undefined;
}

function unknown(all: readonly Evaluated[], runs: readonly DrawnRun[]): Chart[] {
  const curves = all.flatMap(({ run, evaluation: { rejection, total }, index }): Curve[] => {
    const { accepted, unknown } = rejection;
    if (!unknown) return [];
    const points = accepted.map((known, at): Point => [
      percent((unknown.accepted[at] ?? 0) / unknown.images),
      percent(known / total),
    ]);
    const name = `${curveName(runs, run, 'test against unknown images')}, AUROC ${unknown.auroc?.toFixed(3) ?? '-'}`;
    return [{ name, points: [...points, [0, 0]], colour: runColour(index) }];
  });
  if (curves.length === 0) return [];
  const chance: Curve = {
    name: 'chance',
    points: [
      [0, 0],
      [100, 100],
    ],
    colour: '@muted',
    dash: 2,
  };
  return [
    {
      id: 'unknown',
      title: 'Known against unknown classes',
      caption:
        'Test images accepted against images of unknown classes accepted, over all thresholds. The area under the curve (AUROC) is the probability that a known image has the larger score.',
      option: lineOption(
        { name: 'unknown images accepted', min: 0, max: 100, unit: ' %' },
        { name: 'test images accepted', min: 0, max: 100, unit: ' %' },
        [...curves, chance],
      ),
    },
  ];
}

function norms(all: readonly Evaluated[], runs: readonly DrawnRun[]): Chart {
  const curves = all.map(({ run, evaluation, index }): Curve => {
    const { from, to, counts } = evaluation.norms.histogram;
    const width = (to - from) / counts.length;
    const images = counts.reduce((sum, count) => sum + count, 0) || 1;
    return {
      name: curveName(runs, run, 'images'),
      points: counts.map((count, bin): Point => [round(from + width * (bin + 0.5)), percent(count / images)]),
      colour: runColour(index),
      steps: 'middle',
    };
  });
  return {
    id: 'norms',
    title: 'Length of the features',
    caption: 'Norms of the features of the test images: the share of the images in each of 50 bins.',
    option: lineOption({ name: 'norm', min: 0 }, { name: 'images', min: 0, unit: ' %' }, curves),
  };
}
