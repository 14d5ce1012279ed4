import * as echarts from '../report/echarts.js';

export interface BarChart {
  title: string;
  unit: string;
  bars: { name: string; value: number }[];
}

/** A chart of one horizontal bar a value, as an SVG document. */
export function drawBars({ title, unit, bars }: BarChart): string {
  const height = 130 + 50 * bars.length;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 800, height });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: title, left: 'center' },
    grid: { left: 280, right: 70, top: 50, bottom: 60 },
    xAxis: { type: 'value', name: unit, nameLocation: 'middle', nameGap: 30 },
    yAxis: { type: 'category', inverse: true, data: bars.map(({ name }) => name) },
    series: [
      {
        type: 'bar',
        barMaxWidth: 30,
        data: bars.map(({ value }) => Number(value.toPrecision(3))),
        label: { show: true, position: 'right' },
      },
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
