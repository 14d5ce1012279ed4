export {
  classification,
  throughNorm,
  unitRows,
  type ClassificationGradients,
  type Margin,
} from './classification.js';
export { cosineLogits } from './cosine-logits.js';
export { nextDelta, normSum, type NormSource } from './delta.js';
export { type Labels } from './inputs.js';
export { normAdaptiveCosineLoss, podLoss, selfCorrelationLoss, type PodLossOptions } from './pod.js';
export { dotRegression } from './dot-regression.js';
export { globalGradient, inverseRoot, localTerms, selfCorrelationValue, type LocalTerms } from './terms.js';
