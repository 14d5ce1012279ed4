/*
 * The charts of a page: `put` gives one its option, `patch` new data, `forget` takes it away. They have the style sheet's
 * colours, and are drawn again when the screen turns dark or light or changes its size.
 */
const podDistCharts = (() => {
  /** By id: option, whether its axes have one scale, the drawing, what of it is not drawn yet: 'all', or 'data' alone. */
  const charts = new Map();
  const seen = new Set();
  let watched;

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
  const fit = ({ chart, square, option: { grid } }) => {
    chart.resize();
    if (!square) return;
    const room = chart.getWidth() - grid.left - grid.right;
    const side = Math.min(room, chart.getHeight() - grid.top - grid.bottom);
    chart.setOption({
      grid: { left: grid.left + (room - side) / 2, top: grid.top, width: side, height: side },
    });
  };

  const styleOfPage = () => getComputedStyle(document.documentElement);

  const useTheme = () => {
    const style = styleOfPage();
    echarts.registerTheme(
      'page',
      theme((name) => style.getPropertyValue(`--${name}`).trim()),
    );
  };

  const clear = (one) => {
    one.chart?.dispose();
    one.chart = undefined;
    one.changed = 'all';
  };

  const draw = (id, one) => {
    const element = document.getElementById(id);
    if (!element) return;
    if (one.chart && one.chart.getDom() !== element) clear(one);
    const { option, square, changed } = one;
    if (changed === 'data')
      one.chart.setOption({
        series: option.series.map(({ data }) => ({ data: coloured(data, styleOfPage()) })),
      });
    else {
      one.chart ??= echarts.init(element, 'page', { renderer: 'svg' });
      one.chart.setOption({ animation: false, ...coloured(option, styleOfPage()) }, { notMerge: true });
      if (square) fit(one);
    }
    one.changed = undefined;
  };

  /** Draws what has changed; where only charts in sight are drawn, of these. */
  const drawChanged = () => {
    const began = performance.now();
    const stale = [...charts].filter(([id, { changed }]) => changed && (!watched || seen.has(id)));
    for (const [id, one] of stale) draw(id, one);
    if (stale.length > 0) performance.measure('redraw', { start: began, detail: stale.length });
    document.documentElement.dataset.drawn = String([...charts.values()].filter(({ chart }) => chart).length);
  };

  const redraw = () => {
    useTheme();
    for (const one of charts.values()) clear(one);
    drawChanged();
  };

  useTheme();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  addEventListener('resize', () => {
    for (const one of charts.values()) if (one.chart) fit(one);
  });

  return {
    put: (id, { option, square }) => {
      const chart = charts.get(id)?.chart;
      charts.set(id, { option, square, chart, changed: 'all' });
    },
    /** New data of some series: after the first `keep` points of each come these. */
    patch: (id, changes) => {
      const one = charts.get(id);
      if (!one) return;
      for (const [series, keep, points] of changes) {
        const { data } = one.option.series[series];
        data.length = keep;
        data.push(...points);
      }
      one.changed ??= 'data';
    },
    forget: (id) => {
      const one = charts.get(id);
      if (one) clear(one);
      charts.delete(id);
    },
    drawChanged,
    /** From now on only charts in sight are drawn. */
    watch: (elements) => {
      watched ??= new IntersectionObserver(
        (entries) => {
          for (const { target, isIntersecting } of entries)
            if (isIntersecting) seen.add(target.id);
            else seen.delete(target.id);
          drawChanged();
        },
        { rootMargin: '200px' },
      );
      watched.disconnect();
      seen.clear();
      for (const element of elements) watched.observe(element);
    },
  };
})();
