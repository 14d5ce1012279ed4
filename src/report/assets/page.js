/* Draws every chart, with the style sheet's colours, again when the screen turns dark or light or changes its size. */
(() => {
  const charts = JSON.parse(document.getElementById('charts').textContent);
  const drawn = [];

  /** Puts colours in the place of their names, such as `@run-0`. */
  const coloured = (value, style) => {
    if (typeof value === 'string')
      return value.startsWith('@') ? style.getPropertyValue(`--${value.slice(1)}`).trim() || value : value;
    if (Array.isArray(value)) return value.map((one) => coloured(one, style));
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one, style)]));
  };

  const theme = (colour) => {
    const axis = {
      axisLine: { show: true, lineStyle: { color: colour('line') } },
      axisTick: { lineStyle: { color: colour('line') } },
      axisLabel: { color: colour('muted') },
      nameTextStyle: { color: colour('muted') },
      splitLine: { lineStyle: { color: colour('line'), opacity: 0.6 } },
    };
    const text = { color: colour('text') };
    return {
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      valueAxis: axis,
      logAxis: axis,
      categoryAxis: { ...axis, splitLine: { show: false } },
      legend: {
        textStyle: text,
        pageTextStyle: text,
        pageIconColor: colour('text'),
        pageIconInactiveColor: colour('line'),
      },
      visualMap: { textStyle: text },
      tooltip: { backgroundColor: colour('surface'), borderColor: colour('line'), textStyle: text },
    };
  };

  /** Makes the plot of a chart whose axes have one scale square, in the middle. */
  const fit = ({ chart, square, grid }) => {
    chart.resize();
    if (!square) return;
    const room = chart.getWidth() - grid.left - grid.right;
    const side = Math.min(room, chart.getHeight() - grid.top - grid.bottom);
    chart.setOption({
      grid: { left: grid.left + (room - side) / 2, top: grid.top, width: side, height: side },
    });
  };

  const draw = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    echarts.registerTheme('page', theme(colour));
    for (const { chart } of drawn.splice(0)) chart.dispose();
    for (const { id, option, square } of charts) {
      const chart = echarts.init(document.getElementById(id), 'page', { renderer: 'svg' });
      chart.setOption({ animation: false, ...coloured(option, style) });
      drawn.push({ chart, square, grid: option.grid });
      fit(drawn.at(-1));
    }
    document.documentElement.dataset.drawn = String(drawn.length);
  };

  draw();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  addEventListener('resize', () => drawn.forEach(fit));
})();
