import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { totalsSchema, type EvaluationTotals } from '../evaluation/totals.js';
import { readRegularFile } from '../util/regular-file.js';
import { largestManifest, manifestName } from './manifest.js';
import { seal, verifySeal } from './sealed.js';

const evaluationName = 'evaluation.json';
const evaluationSchema = z.object({ of: z.string(), totals: totalsSchema });

/** Adds the evaluation to a checkpoint; it belongs to this one alone. */
export async function saveEvaluation(folder: string, totals: EvaluationTotals): Promise<void> {
  const of = verifySeal(readRegularFile(join(folder, manifestName), { mostBytes: largestManifest }));
  await writeFileAtomic(join(folder, evaluationName), seal({ of, totals }));
}

/** The evaluation of the checkpoint with this digest; undefined for one that is missing, broken, or another checkpoint's: it is made again. */
export function readEvaluation(folder: string, of: string | undefined): EvaluationTotals | undefined {
  try {
    const text = readRegularFile(join(folder, evaluationName), { mostBytes: largestManifest });
    if (of === undefined || verifySeal(text) === undefined) return undefined;
    const parsed = evaluationSchema.parse(JSON.parse(text.toString()));
    return parsed.of === of ? parsed.totals : undefined;
  } catch {
    return undefined;
  }
}
