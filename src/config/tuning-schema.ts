import { z } from 'zod';
import { lossOf, type LossConfig } from '../losses/index.js';
import { path } from '../util/bounds.js';

/** Names a layer, or several; see `matchesPattern`. */
const pattern = z.string().min(1).max(200);
const patterns = z.array(pattern).max(1000).default([]);

/** Settings for going on from weights that others have trained. */
export const tuningSettings = {
  init: z
    .strictObject({
      from: path.describe(
        'a run folder or checkpoint of pod-dist, a safetensors file, or a file of PyTorch (.pt, .pth), from the current folder on',
      ),
      skip: patterns.describe('layers or tensors that are not taken over, such as [features, "layer4.*"]'),
      classes: z
        .enum(['auto', 'keep', 'new'])
        .default('auto')
        .describe(
          "keep: classes of the checkpoint keep their centroids, by name, and others take reserved ones; auto: where the data has all of the checkpoint's classes; new: as without a checkpoint",
        ),
    })
    .optional()
    .describe('weights to start from, in place of random ones'),
  freeze: patterns.describe(
    'layers that stay as they are, such as [conv1, bn1, layer1]: weights, decay and batch norm statistics',
  ),
  rates: z
    .array(z.strictObject({ match: pattern, factor: z.number().positive().max(1_000_000) }))
    .max(1000)
    .default([])
    .describe('layers whose learning rate is multiplied by a factor; of several that match the first counts'),
};

interface CentroidSettings {
  centroids: { reserve: number; file?: string };
  loss: LossConfig;
}

/** Refuses settings of centroids with a loss that has none. */
export function checkCentroids({ centroids, loss }: CentroidSettings, context: z.core.$RefinementCtx): void {
  if (!lossOf(loss).classWeights) return;
  const key = centroids.file !== undefined ? 'file' : 'reserve';
  if (centroids.file === undefined && centroids.reserve === 0) return;
  context.addIssue({
    code: 'custom',
    path: ['centroids', key],
    message: `is for losses on centroids: ${loss.name} trains the weights of its classes`,
  });
}
