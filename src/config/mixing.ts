import type { z } from 'zod';
import { isMixing, type MixSettings } from '../data/mixing.js';
import { lossOf, type LossConfig } from '../losses/index.js';

/** Refuses MixUp and CutMix for a loss that has no meaning for images of two classes. */
export function checkMixing(
  { data, loss }: { data: { augment?: MixSettings }; loss: LossConfig },
  context: z.core.$RefinementCtx,
): void {
  const { augment = {} } = data;
  if (!isMixing(augment) || lossOf(loss).mixed) return;
  const setting = augment.mixup?.alpha ? 'mixup' : 'cutmix';
  context.addIssue({
    code: 'custom',
    path: ['data', 'augment', setting, 'alpha'],
    message: `the loss ${loss.name} has no meaning for images of two classes: leave it 0, or choose another loss`,
  });
}
