import { loadSharp } from '../../data/decoder.js';
import { datasets, openDataset } from '../../data/index.js';
import { thumbnails } from '../../data/thumbnails.js';
import type { Evaluation } from '../../evaluation/schema.js';
import type { EvaluationSample } from '../../evaluation/sample.js';
import { escapeHtml } from '../../util/escape-html.js';
import type { LoggedRun } from '../sink.js';
import type { Picture } from './summary.js';

const side = 96;
const line = 16;
const columns = 6;
/** Images shown, at most: half of them assigned to a wrong class, if there are as many. */
const shown = 24;
/** Classes for which a confusion matrix is drawn, at most. */
const mostClasses = 200;

async function draw(width: number, height: number, content: string): Promise<Picture> {
  const sharp = await loadSharp();
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>${content}</svg>`;
  const png = await sharp(Buffer.from(svg)).removeAlpha().png().toBuffer();
  return { png, width, height };
}

/** Rows are true classes, columns assigned ones; the darker a cell, the larger its share of the row. */
export async function confusionMatrix({ classNames, confusion }: Evaluation): Promise<Picture | undefined> {
  const classes = classNames.length;
  if (confusion.length === 0 || classes > mostClasses) return undefined;
  const cell = Math.max(6, Math.min(40, Math.floor(800 / classes)));
  const names = cell >= 12;
  const margin = names ? 90 : 10;
  const size = margin + classes * cell + 10;
  const parts: string[] = [];
  for (let label = 0; label < classes; label++) {
    const row = confusion.slice(label * (classes + 1), (label + 1) * (classes + 1));
    const images = row.reduce((sum, count) => sum + count, 0);
    const name = escapeHtml((classNames[label] ?? '').slice(0, 12));
    const middle = margin + (label + 0.5) * cell;
    if (names)
      parts.push(
        `<text x="${margin - 4}" y="${middle + 4}" text-anchor="end">${name}</text>`,
        `<text transform="translate(${middle + 4} ${margin - 4}) rotate(-90)">${name}</text>`,
      );
    row.slice(0, classes).forEach((count, assigned) => {
      if (count === 0) return;
      const [x, y] = [margin + assigned * cell, margin + label * cell];
      const share = count / images;
      const colour = assigned === label ? '31,119,180' : '214,39,40';
      parts.push(
        `<rect x="${x}" y="${y}" width="${cell}" height="${cell}" fill="rgba(${colour},${(0.15 + 0.85 * share).toFixed(3)})"/>`,
      );
      if (cell >= 24)
        parts.push(`<text x="${x + cell / 2}" y="${y + cell / 2 + 4}" text-anchor="middle">${count}</text>`);
    });
  }
  const edge = classes * cell;
  parts.push(
    `<rect x="${margin}" y="${margin}" width="${edge}" height="${edge}" fill="none" stroke="gray"/>`,
  );
  return draw(size, size, parts.join(''));
}

/** Test images with the classes that they were assigned to, wrong ones in red; undefined for a plug-in's data set. */
export async function predictions(
  { config }: LoggedRun,
  { classNames }: Evaluation,
  sample: EvaluationSample,
): Promise<Picture | undefined> {
  if (datasets.find(config.data.name) === undefined) return undefined;
  const rows = rowsToShow(sample);
  if (rows.length === 0) return undefined;
  const dataset = await openDataset(config.data, {
    seed: config.seed,
    threads: 1,
    evaluated: classNames,
    notify: () => {},
  });
  try {
    const images = await thumbnails(
      dataset,
      rows.flatMap((row) => sample.images[row] ?? []),
      side,
    );
    const parts = rows.map((row, place) => {
      const [x, y] = [
        (place % columns) * (side + 8) + 4,
        Math.floor(place / columns) * (side + 2 * line + 8) + 4,
      ];
      const [label, assigned] = [sample.labels, sample.assigned].map((of) =>
        escapeHtml((classNames[of[row] ?? -1] ?? '').slice(0, 14)),
      );
      const colour = label === assigned ? 'green' : 'red';
      return (
        `<image x="${x}" y="${y}" width="${side}" height="${side}" href="data:image/png;base64,${images[place]}"/>` +
        `<text x="${x}" y="${y + side + line - 3}" fill="${colour}">${assigned}</text>` +
        (label === assigned ? '' : `<text x="${x}" y="${y + side + 2 * line - 3}">is ${label}</text>`)
      );
    });
    const lines = Math.ceil(rows.length / columns);
    return await draw(columns * (side + 8), lines * (side + 2 * line + 8), parts.join(''));
  } finally {
    await dataset.close();
  }
}

function rowsToShow({ labels, assigned }: EvaluationSample): number[] {
  const rows = [...labels.keys()];
  const wrong = every(
    rows.filter((row) => labels[row] !== assigned[row]),
    shown / 2,
  );
  const right = every(
    rows.filter((row) => labels[row] === assigned[row]),
    shown - wrong.length,
  );
  return [...wrong, ...right];
}

/** Some of the rows, evenly over all of them. */
function every(rows: readonly number[], most: number): number[] {
  const count = Math.min(most, rows.length);
  return Array.from({ length: count }).flatMap(
    (_, index) => rows[Math.floor((index * rows.length) / count)] ?? [],
  );
}
