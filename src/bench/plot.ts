import * as echarts from '../report/echarts.js';
import type { AllReduceRow } from './all-reduce.js';
import type { ScalingRow } from './scaling.js';

/** Bus bandwidth over size, a line a system, as an SVG document. */
export function plotAllReduce(rows: readonly AllReduceRow[]): string {
  const systems = [...new Set(rows.map(({ system }) => system))];
  return render({
    title: `All-reduce of float32, ${rows[0].workers} workers`,
    x: { name: 'bytes', log: true },
    y: { name: 'bus bandwidth, GB/s', log: false },
    lines: systems.map((system) => ({
      name: system,
      points: rows
        .filter((row) => row.system === system)
        .map(({ bytes, busGBps }): [number, number] => [bytes, busGBps]),
    })),
  });
}

/** Efficiency over workers, measured and predicted, as an SVG document. */
export function plotScaling(rows: readonly ScalingRow[]): string {
  const nameOf = ({ scaling, overlap, wire, predicted }: ScalingRow) =>
    `${scaling}, ${overlap ? 'overlap' : 'no overlap'}${wire === 'bf16' ? ', bf16' : ''}${predicted ? ', predicted' : ''}`;
  const several = rows.filter(({ workers }) => workers > 1);
  return render({
    title: 'Scaling efficiency',
    x: { name: 'workers', log: true },
    y: { name: 'efficiency', log: false },
    lines: [...new Set(several.map(nameOf))].map((name) => {
      const own = several.filter((row) => nameOf(row) === name);
      return {
        name,
        dashed: own[0].predicted,
        points: own.map(({ workers, efficiency }): [number, number] => [workers, efficiency]),
      };
    }),
  });
}

interface Axis {
  name: string;
  log: boolean;
}

export interface Plot {
  title: string;
  x: Axis;
  y: Axis;
  lines: { name: string; points: [x: number, y: number][]; dashed?: boolean }[];
}

/** A line chart as an SVG document. */
export function render({ title, x, y, lines }: Plot): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 800, height: 480 });
  const axis = ({ name, log }: Axis) => ({
    type: log ? ('log' as const) : ('value' as const),
    name,
    nameLocation: 'middle' as const,
    nameGap: 36,
  });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: title, left: 'center' },
    legend: { bottom: 0 },
    grid: { left: 70, right: 40, top: 50, bottom: 90 },
    xAxis: axis(x),
    yAxis: axis(y),
    series: lines.map(({ name, points, dashed }) => ({
      type: 'line',
      name,
      data: points,
      showSymbol: points.length < 50,
      lineStyle: { type: dashed ? 'dashed' : 'solid' },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
