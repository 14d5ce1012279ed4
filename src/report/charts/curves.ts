import type { DrawnRun } from '../run.js';
import { incidentsAt, round, stepCurve, stepScale, stepsPerEpoch, type StepScale } from '../series.js';
import type { Point, StepNumber, Thinning } from '../step-curves.js';
import {
  curveName,
  lineOption,
  percent,
  runColour,
  type Axis,
  type Chart,
  type Curve,
  type Mark,
} from './chart.js';

/** Terms of the loss, by their names in `metrics.jsonl`. */
const parts = [
  { key: 'nac', name: 'norm-adaptive cosine (NAC)', about: 'pulls features to their centroid' },
  { key: 'sc', name: 'self-correlation (SC)', about: 'makes their dimensions uncorrelated' },
  { key: 'crossEntropy', name: 'cross-entropy', about: 'tells the classes apart' },
  { key: 'squaredError', name: 'squared error', about: 'pulls features to their centroid' },
  { key: 'meanSquaredError', name: 'mean squared error', about: 'pulls features to their centroid' },
] as const;

const epochAxis = { name: 'epochs trained', min: 0 };

const thinned: Readonly<Record<Thinning, string>> = {
  mean: 'a point is the mean of neighbouring steps where there are many',
  extremes: 'of neighbouring steps the smallest and the largest are drawn where there are many',
};

/** Curves of the training, all runs in one picture each. */
export function trainingCharts(runs: readonly DrawnRun[], thinning: Thinning): Chart[] {
  const scale = stepScale(runs);
  const stepAxis = { name: scale.name, min: 0 };
  const perStep = (what: string, name: StepNumber): Curve[] =>
    runs.map((run, index) => ({
      name: curveName(runs, run, what),
      points: stepCurve(run, name, { scale, thinning }),
      thin: thinning === 'extremes',
      colour: runColour(index),
    }));
  const perEpoch = (what: string, value: (epoch: DrawnRun['epochs'][number]) => number): Curve[] =>
    runs.map((run, index) => ({
      name: curveName(runs, run, what),
      points: run.epochs.map((epoch): Point => [epoch.epoch + 1, round(value(epoch))]),
      colour: runColour(index),
      dots: run.epochs.length <= 60,
    }));
  const drawn = (
    chart: Omit<Chart, 'option'>,
    [x, y]: readonly [Axis, Axis],
    curves: Curve[],
    marks?: Mark[],
  ): Chart[] => {
    const known = curves.filter(({ points }) => points.length > 0);
    return known.length > 0 ? [{ ...chart, option: lineOption(x, y, known, marks) }] : [];
  };
  const marksOn = (curves: readonly Curve[], unit: (run: DrawnRun) => number) =>
    runs.flatMap((run, index) =>
      incidentsAt(run, curves[index]?.points ?? [], unit(run)).map(({ at, text }) => ({
        at,
        text: runs.length > 1 ? `${run.name}: ${text}` : text,
      })),
    );
  const losses = perStep('loss', 'loss');
  const accuracies = perEpoch('accuracy', ({ evalAccuracy }) => percent(evalAccuracy));
  const isMarked = runs.some(({ incidents }) => incidents.some(({ step }) => step !== undefined));
  const legendOfMarks = isMarked ? ' A triangle is a fault that the run has gone on from.' : '';
  return [
    ...drawn(
      {
        id: 'loss',
        title: 'Training loss',
        caption: `Of each global batch; ${thinned[thinning]}.${legendOfMarks}`,
      },
      [stepAxis, { name: 'loss', min: 0 }],
      losses,
      marksOn(losses, (run) => scale.unit(run)),
    ),
    ...partCharts(runs, scale, thinning),
    ...drawn(
      {
        id: 'accuracy',
        title: 'Test accuracy',
        caption: `Top-1, by the nearest centroid (by the largest logit for plain softmax), after each epoch.${legendOfMarks}`,
      },
      [epochAxis, { name: 'accuracy', unit: ' %' }],
      accuracies,
      marksOn(accuracies, (run) => stepsPerEpoch(run) ?? 1),
    ),
    ...drawn(
      {
        id: 'mean-cosine',
        title: 'Cosine to the own centroid',
        caption:
          'Mean over the test images after each epoch; 1 is a feature that points exactly at its centroid.',
      },
      [epochAxis, { name: 'mean cosine' }],
      perEpoch('mean cosine', ({ meanCosine }) => meanCosine),
    ),
    ...drawn(
      {
        id: 'delta',
        title: 'delta',
        caption:
          'Of the norm-adaptive cosine: how long features must be for their cosine to count in full. It follows the mean norm.',
      },
      [stepAxis, { name: 'delta', min: 0 }],
      perStep('delta', 'delta')
        .map((curve): Curve => ({ ...curve, steps: 'end' }))
        .filter(({ points }) => points.some(([, delta]) => delta > 0)),
    ),
    ...drawn(
      { id: 'learning-rate', title: 'Learning rate', caption: 'Of each step.' },
      [stepAxis, { name: 'learning rate', min: 0 }],
      perStep('learning rate', 'lr'),
    ),
  ];
}

/** One picture of all parts for one run, one of each part for several; logarithmic, as they differ by magnitudes. */
function partCharts(runs: readonly DrawnRun[], scale: StepScale, thinning: Thinning): Chart[] {
  const axis = { name: scale.name, min: 0 };
  const thin = thinning === 'extremes';
  const known = parts.flatMap((part) => {
    const curves = runs.map((run, index): Curve => {
      const points = stepCurve(run, part.key, { scale, thinning }).filter(([, value]) => value > 0);
      return { name: curveName(runs, run, part.name), points, colour: runColour(index), thin };
    });
    const drawn = curves.filter(({ points }) => points.length > 0);
    return drawn.length > 0 ? [{ ...part, curves: drawn }] : [];
  });
  if (known.length === 0) return [];
  if (runs.length > 1) {
    return known.map(({ key, name, about, curves }) => ({
      id: `part-${key}`,
      title: `Part of the loss: ${name}`,
      caption: `It ${about}. The axis is logarithmic.`,
      option: lineOption(axis, { name, log: true }, curves),
    }));
  }
  const curves = known.flatMap((one, part) =>
    one.curves.map((curve): Curve => ({ ...curve, colour: runColour(part), dash: part === 0 ? 0 : 1 })),
  );
  return [
    {
      id: 'parts',
      title: 'Parts of the loss',
      caption: `${known.map(({ name, about }) => `${name.charAt(0).toUpperCase()}${name.slice(1)} ${about}`).join('; ')}. The axis is logarithmic.`,
      option: lineOption(axis, { name: 'part of the loss', log: true }, curves),
    },
  ];
}
