import type { Evaluation } from '../../evaluation/schema.js';
import { axisOption, classAxis, gridOption, legend, percent, type Chart } from './chart.js';
import type { Evaluated } from './compared.js';
import type { DrawnRun } from '../run.js';

/** Most classes whose matrix can be read. */
const mostCells = 40;
/** Most classes whose cells have room for numbers. */
const mostNumbers = 12;

/** Symbols of the classes in the plane, besides their colours. */
const symbols = ['circle', 'triangle', 'rect', 'diamond', 'roundRect'];

/** Pictures of one run each, by kind. */
export function ownCharts(all: readonly Evaluated[]): Record<'confusions' | 'angles' | 'planes', Chart[]> {
  const runs = all.map(({ run }) => run);
  return {
    confusions: all.flatMap((one) => confusion(one, runs)),
    angles: all.map((one) => angles(one, runs)),
    planes: all.map((one) => plane(one, runs)),
  };
}

function titled(title: string, runs: readonly DrawnRun[], run: DrawnRun): string {
  return runs.length > 1 ? `${title}: ${run.name}` : title;
}

function confusion({ run, evaluation, index }: Evaluated, runs: readonly DrawnRun[]): Chart[] {
  const { classNames, confusion, classTotal } = evaluation;
  const classes = classNames.length;
  if (classes > mostCells || confusion.length === 0) return [];
  const imagesOf = (label: number, assigned: number) => confusion[label * (classes + 1) + assigned] ?? 0;
  const lost = classNames.some((_, label) => imagesOf(label, classes) > 0);
  const columns = lost ? [...classNames, 'none'] : classNames;
  const cells = classNames.flatMap((_, label) =>
    columns.flatMap((_, assigned) => {
      const images = imagesOf(label, assigned);
      return images > 0 ? [[assigned, label, images, percent(images / (classTotal[label] ?? images))]] : [];
    }),
  );
  const edges = [0, 1, 5, 20, 50, 100];
  return [
    {
      id: `confusion-${index}`,
      title: titled('Confusion matrix', runs, run),
      caption:
        'Images of each true class (rows) by assigned class (columns); the colour is their share of the row. The diagonal is right.',
      height: 460,
      option: {
        grid: { left: 32, right: 12, top: 12, bottom: 56, containLabel: true },
        tooltip: { confine: true },
        xAxis: classAxis('assigned class', columns, 'bottom'),
        yAxis: { ...classAxis('true class', classNames, 'left'), inverse: true },
        visualMap: {
          type: 'piecewise',
          dimension: 3,
          orient: 'horizontal',
          left: 'center',
          bottom: 0,
          itemWidth: 14,
          itemHeight: 10,
          itemGap: 6,
          textGap: 4,
          pieces: edges.slice(1).map((to, bin) => ({
            gt: edges[bin],
            lte: to,
            label: to === 100 ? `≤ ${to} %` : `≤ ${to}`,
            color: `@heat-${bin}`,
          })),
        },
        series: [
          {
            type: 'heatmap',
            data: cells,
            encode: { x: 0, y: 1, value: 3, tooltip: [2, 3] },
            dimensions: ['assigned', 'true', 'images', 'share of the row, %'],
            label: { show: classes <= mostNumbers, formatter: '{@[2]}', fontSize: 10 },
            labelLayout: { hideOverlap: true },
            itemStyle: { borderColor: '@surface', borderWidth: 1 },
          },
        ],
      },
    },
  ];
}

function angles({ run, evaluation, index }: Evaluated, runs: readonly DrawnRun[]): Chart {
  const { own, other } = evaluation.angles;
  const bars = (
    name: string,
    { histogram: { from, to, counts } }: Evaluation['angles']['own'],
    colour: string,
  ) => {
    const width = (to - from) / counts.length;
    return {
      type: 'bar',
      name,
      data: counts.map((count, bin) => [from + width * (bin + 0.5), count]),
      barWidth: '99%',
      barGap: '-100%',
      itemStyle: { color: colour, opacity: 0.7 },
    };
  };
  const largest = (counts: readonly number[]) => counts.findLastIndex((count) => count > 0) + 1;
  const last = Math.max(largest(own.histogram.counts), largest(other.histogram.counts));
  const mean = (value: number | null) => (value === null ? '-' : `${value.toFixed(1)}°`);
  return {
    id: `angles-${index}`,
    title: titled('Angles to the centroids', runs, run),
    caption: `Between the features of each test image and its own centroid (mean ${mean(own.mean)}), and the nearest other one (mean ${mean(other.mean)}). The further the two stand apart, the better the classes are separated.`,
    height: runs.length > 1 ? 320 : 460,
    option: {
      grid: gridOption(true),
      legend: legend(true),
      tooltip: { trigger: 'axis', confine: true, axisPointer: { type: 'shadow' } },
      xAxis: axisOption(
        { name: 'angle', min: 0, max: Math.min(180, 10 * Math.ceil((2 * last + 1) / 10)), unit: '°' },
        'middle',
        28,
      ),
      yAxis: axisOption({ name: 'images', min: 0 }, 'end', 12),
      series: [bars('own centroid', own, '@run-0'), bars('nearest other', other, '@run-1')],
    },
  };
}

function plane({ run, evaluation, index }: Evaluated, runs: readonly DrawnRun[]): Chart {
  const { vectors, x, y, labels, assigned } = evaluation.plane;
  const { classNames } = evaluation;
  const reach = [...x, ...y, ...vectors.flat()].reduce((most, value) => Math.max(most, Math.abs(value)), 0.1);
  const end = Number((1.12 * reach).toPrecision(2));
  const axis = { type: 'value', min: -end, max: end, axisLabel: { show: false }, axisTick: { show: false } };
  const images = [...labels.keys()];
  const point = (image: number) => ({
    value: [x[image], y[image]],
    ...(assigned[image] === labels[image] ? {} : { itemStyle: { borderColor: '@text', borderWidth: 1 } }),
  });
  const shown = vectors.length < classNames.length ? ` of the first ${vectors.length} classes` : '';
  return {
    id: `plane-${index}`,
    title: titled('Features and centroids', runs, run),
    caption: `Directions of ${labels.length} test images${shown}, projected on the plane in which the centroids stand in a circle; a strong edge marks a wrong assignment. Classes beside each other in the circle are not closer than others.`,
    height: 460,
    square: true,
    option: {
      grid: { left: 12, right: 12, top: 12, bottom: 36 },
      legend: {
        ...legend(true),
        icon: undefined,
        itemHeight: 10,
        itemWidth: 12,
        data: vectors.map((_, label) => classNames[label]),
      },
      tooltip: { confine: true, formatter: '{a}' },
      xAxis: axis,
      yAxis: axis,
      series: [
        ...vectors.map((_, label) => ({
          type: 'scatter',
          name: classNames[label],
          data: images.filter((image) => labels[image] === label).map(point),
          symbol: symbols[label % symbols.length],
          symbolSize: 7,
          itemStyle: { color: `@class-${label}`, opacity: 0.75 },
          emphasis: { focus: 'series' },
        })),
        {
          type: 'scatter',
          name: 'centroids',
          data: vectors.map((value, label) => ({ value, name: classNames[label] })),
          symbolSize: 1,
          itemStyle: { opacity: 1 },
          label: {
            show: true,
            position: 'inside',
            formatter: '{b}',
            color: '@surface',
            backgroundColor: '@text',
            padding: [3, 6],
            borderRadius: 9,
            fontWeight: 'bold',
            fontSize: 11,
          },
          z: 5,
          tooltip: { formatter: 'centroid of {b}' },
        },
      ],
    },
  };
}
