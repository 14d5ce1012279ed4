import Table from 'cli-table3';
import type { Evaluation } from '../src/evaluation/schema.js';
import { printable } from '../src/util/printable.js';

/** Classes in the table, at most. */
const mostRows = 50;
const shownConfusions = 5;

const compact = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

/** An evaluation for the console: what it says in lines, then a table of the classes. */
export function describeEvaluation(evaluation: Evaluation, folder: string): string {
  const { dataset, total, classNames, mirrored } = evaluation;
  const views = mirrored ? ', each image with its mirror image' : '';
  return [
    `${printable(folder)}: ${printable(dataset)}, ${total} test images, ${classNames.length} classes${views}`,
    summaryTable(evaluation),
    classTable(evaluation),
  ].join('\n');
}

function summaryTable(evaluation: Evaluation): string {
  const { correct, total, topK, angles, norms, correlation, reliability, undirected, scale } = evaluation;
  const confidence = scale === 'probability' ? 'probability' : 'margin';
  const table = new Table({ chars: compact, style: { head: [], border: [] } });
  table.push(['accuracy (top-1)', `${percent(evaluation.accuracy)} (${correct}/${total})`]);
  if (topK.k > 1) table.push([`top-${topK.k}`, `${percent(topK.accuracy)} (${topK.correct}/${total})`]);
  table.push(
    ['mean cosine to the own centroid', number(evaluation.meanCosine, 4)],
    ['mean angle to it', `${number(angles.own.mean, 1)}°`],
    ['mean angle to the nearest other', `${number(angles.other.mean, 1)}°`],
    ['mean feature norm', number(norms.mean, 2)],
    ['off-diagonal share of the correlation', percent(correlation?.offDiagonalShare ?? null)],
    [`calibration error of the ${confidence}`, percent(reliability.error)],
    [`${confidence} tells right from wrong (AUROC)`, number(reliability.separation, 4)],
  );
  for (const row of rejectionRows(evaluation)) table.push(row);
  if (undirected > 0) table.push(['images without a direction (no class)', undirected]);
  for (const { label, assigned, images } of evaluation.confusions.slice(0, shownConfusions)) {
    table.push([
      `${className(evaluation, label)} taken for ${className(evaluation, assigned)}`,
      `${images} images`,
    ]);
  }
  return table.toString();
}

/** The thresholds at which 95 % of the test images are accepted, and 99 % of the accepted ones are right. */
function rejectionRows({ rejection, total, scale }: Evaluation) {
  const { thresholds, accepted, correct, unknown } = rejection;
  const rows: [string, string][] = [];
  const wide = accepted.findLastIndex((count) => count >= 0.95 * total);
  const threshold = thresholds[wide];
  if (threshold !== undefined) {
    const at = (counts: readonly number[]) => counts[wide] ?? NaN;
    const right = percent(at(correct) / at(accepted));
    const strangers = unknown
      ? `, with ${percent(at(unknown.accepted) / unknown.images)} of the unknown`
      : '';
    const shown = `${percent(at(accepted) / total)} accepted${strangers}, ${right} of them right`;
    rows.push([`${scale} of at least ${threshold.toFixed(2)}`, shown]);
  }
  if (unknown)
    rows.push([
      'known against unknown images (AUROC)',
      `${number(unknown.auroc, 4)} (${unknown.images} unknown)`,
    ]);
  for (const [kind, { auroc, fpr95, aupr }] of Object.entries(unknown?.by ?? {}))
    rows.push([
      `by ${kind === 'score' ? scale : kind}: AUROC, AUPR, FPR at 95 % TPR`,
      `${number(auroc, 4)}, ${number(aupr, 4)}, ${percent(fpr95)}`,
    ]);
  return rows;
}

function classTable(evaluation: Evaluation): string {
  const { classNames, classTotal, classCorrect, classAngle } = evaluation;
  const table = new Table({
    head: ['class', 'images', 'correct', 'accuracy', 'mean angle'],
    chars: compact,
    style: { head: [], border: [] },
  });
  classNames.slice(0, mostRows).forEach((name, label) => {
    const [images, correct] = [classTotal[label] ?? 0, classCorrect[label] ?? 0];
    const accuracy = percent(images > 0 ? correct / images : null);
    table.push([printable(name), images, correct, accuracy, `${number(classAngle[label] ?? null, 1)}°`]);
  });
  const rest = classNames.length - mostRows;
  return rest > 0 ? `${table.toString()}\n${rest} more classes: see --json` : table.toString();
}

/** A class's name; features without a direction have none. */
function className({ classNames }: Evaluation, label: number): string {
  return printable(classNames[label] ?? 'no class');
}

function percent(share: number | null): string {
  return share === null ? '-' : `${(100 * share).toFixed(2)} %`;
}

function number(value: number | null, digits: number): string {
  return value === null ? '-' : value.toFixed(digits);
}
