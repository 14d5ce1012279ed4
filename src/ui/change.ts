import type { DrawnChart, View } from './view.js';

/** New data of a series: after the first `keep` points come these. */
export type Patch = [series: number, keep: number, points: unknown[]];

/** What a page is told: what is different from what it shows. */
export interface Change {
  html: Record<string, string>;
  /** Charts that are new or have another option; null for one that is gone. */
  charts: Record<string, Pick<DrawnChart, 'option' | 'square'> | null>;
  patches: Record<string, Patch[]>;
}

/** The difference of two views; undefined where there is none. */
export function changeBetween(before: View, after: View): Change | undefined {
  const change: Change = { html: {}, charts: {}, patches: {} };
  for (const [id, html] of after.html) if (before.html.get(id) !== html) change.html[id] = html;
  for (const id of before.charts.keys()) if (!after.charts.has(id)) change.charts[id] = null;
  for (const [id, chart] of after.charts) {
    const old = before.charts.get(id);
    if (old === chart) continue;
    if (old?.shell !== chart.shell) {
      change.charts[id] = { option: chart.option, square: chart.square };
      continue;
    }
    const patches = patchesBetween(old, chart);
    if (patches.length > 0) change.patches[id] = patches;
  }
  return Object.values(change).some((part) => Object.keys(part as object).length > 0) ? change : undefined;
}

function patchesBetween(before: DrawnChart, after: DrawnChart): Patch[] {
  return after.option.series.flatMap(({ data }, index): Patch[] => {
    const old = before.option.series[index]?.data ?? [];
    const keep = commonLength(old, data);
    return keep === old.length && keep === data.length ? [] : [[index, keep, data.slice(keep)]];
  });
}

function commonLength(a: readonly unknown[], b: readonly unknown[]): number {
  let at = 0;
  while (at < a.length && at < b.length && isSame(a[at], b[at])) at++;
  return at;
}

function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!Array.isArray(a) || !Array.isArray(b)) return JSON.stringify(a) === JSON.stringify(b);
  return a.length === b.length && a.every((value, index) => isSame(value, b[index]));
}
