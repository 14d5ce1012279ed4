import type { DrawnRun } from '../run.js';

/**
 * One picture of the page. Colours are names of the style sheet's variables, such as `@run-0`, for which the page has
 * values for light and for dark screens.
 */
export interface Chart {
  id: string;
  title: string;
  /** Caption: what the chart shows, and how to read it. */
  caption: string;
  /** The option that echarts draws. */
  option: object;
  /** Height in pixels; default 320. */
  height?: number;
  /** Whether it is as wide as the page. */
  wide?: boolean;
  /** Whether both axes have the same scale. */
  square?: boolean;
}

/** Number of colours for runs: Okabe and Ito's, which colour-blind people can distinguish, and grey. */
const runColours = 8;

export function runColour(index: number): string {
  return `@run-${index % runColours}`;
}

const dashes = ['solid', 'dashed', 'dotted'] as const;

export interface Curve {
  name: string;
  points: readonly (readonly [x: number, y: number])[];
  colour: string;
  /** 0 solid, 1 dashed, 2 dotted. */
  dash?: 0 | 1 | 2;
  /** Whether it shows the points themselves. */
  dots?: boolean;
  /** Draws it with a thin line, as one that goes up and down. */
  thin?: boolean;
  /** Draws steps that end, or lie in the middle, at their points. */
  steps?: 'end' | 'middle';
  /** Diameter of each point. */
  sizes?: readonly number[];
}

export interface Axis {
  name: string;
  min?: number;
  max?: number;
  log?: boolean;
  /** Unit that follows a number, such as ` %`. */
  unit?: string;
}

/** Something that happened at a point of a curve; the tooltip there shows its text. */
export interface Mark {
  text: string;
  at: readonly [x: number, y: number];
}

/** A chart of curves with a legend, where there are several, and a tooltip. */
export function lineOption(x: Axis, y: Axis, curves: readonly Curve[], marks: readonly Mark[] = []): object {
  const lines = curves.map(({ name, points, colour, dash = 0, dots, thin, steps, sizes }) => ({
    type: 'line',
    name,
    data: sizes ? points.map((value, index) => ({ value, symbolSize: sizes[index] })) : points,
    step: steps,
    showSymbol: dots || points.length === 1,
    symbol: 'circle',
    symbolSize: 6,
    itemStyle: { color: colour },
    lineStyle: { color: colour, width: thin ? 1.2 : 2, type: dashes[dash] },
    emphasis: { focus: 'series' },
  }));
  // A series each, since the tooltip shows the names of series.
  const marked = marks.map(({ text, at }) => ({
    type: 'scatter',
    name: text,
    data: [at],
    symbol: 'triangle',
    symbolSize: 12,
    itemStyle: { color: '@mark', borderColor: '@surface', borderWidth: 1 },
    z: 5,
  }));
  return {
    grid: gridOption(curves.length > 1),
    legend: { ...legend(curves.length > 1), data: curves.map(({ name }) => name) },
    tooltip: { trigger: 'axis', confine: true },
    xAxis: axisOption(x, 'middle', 28),
    yAxis: axisOption(y, 'end', 12),
    series: [...lines, ...marked],
  };
}

/** The place of the axes: room for the value axis's name above them, and for the other's name and a legend below. */
export function gridOption(hasLegend: boolean, top = 38): object {
  return { left: 8, right: 24, top, bottom: hasLegend ? 52 : 30, containLabel: true };
}

export function axisOption(
  { name, min, max, log, unit }: Axis,
  place: 'middle' | 'end',
  gap: number,
): object {
  return {
    type: log ? 'log' : 'value',
    name,
    nameLocation: place,
    nameGap: gap,
    nameTextStyle: place === 'end' ? { align: 'left', padding: [0, 0, 0, -20] } : {},
    min,
    max,
    scale: min === undefined,
    axisLabel: unit ? { formatter: `{value}${unit}` } : {},
  };
}

export function legend(show: boolean): object {
  return { show, type: 'scroll', bottom: 0, left: 'center', icon: 'roundRect', itemHeight: 4 };
}

/** Name of a curve: the quantity where there is one run, else the run's name. */
export function curveName(runs: readonly DrawnRun[], run: DrawnRun, what: string): string {
  return runs.length === 1 ? what : run.name;
}

/** A share as a percentage of two decimals. */
export function percent(share: number): number {
  return Number((100 * share).toFixed(2));
}

/** Pixels at which longer class names are cut off. */
const longestLabel = 96;
/** Most classes that all get a label. */
const mostLabels = 25;

/** An axis of classes; along the bottom, longer names are turned. */
export function classAxis(name: string, classNames: readonly string[], side: 'bottom' | 'left'): object {
  const width = Math.min(
    longestLabel,
    7 * classNames.reduce((most, { length }) => Math.max(most, length), 0),
  );
  const turned = side === 'bottom' && width * classNames.length > 300;
  const gap = side === 'left' ? width + 14 : turned ? 14 + width * 0.75 : 28;
  return {
    type: 'category',
    name,
    data: classNames,
    nameLocation: 'middle',
    nameGap: gap,
    axisTick: { show: false },
    axisLabel: {
      interval: classNames.length <= mostLabels ? 0 : 'auto',
      rotate: turned ? 45 : 0,
      width: longestLabel,
      overflow: 'truncate',
    },
  };
}
