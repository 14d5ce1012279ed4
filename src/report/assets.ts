import { readFileSync } from 'node:fs';

/** Files of a page: the plotting library (Apache ECharts), how charts are drawn with it, and the styles. */
export type Asset = 'echarts.js' | 'charts.js' | 'page.js' | 'page.css';

export function asset(name: Asset): string {
  return readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8');
}

/** Meaning of numbers that a page shows. */
export const legend =
  'Test images are those of the test split. Angles are those between features and class vectors; margins and thresholds are of cosines, for softmax of probabilities. “SC share” is the share of the squares of the features’ correlation that lies off its diagonal; “calibration error” that of softmax’s probabilities or, for all other losses, of the margin between the best and the second best cosine, read as the confidence (1 + margin) / 2; “confidence AUROC” the probability that a rightly assigned image has a larger one than a wrong one.';
