export { cosineLogits } from './cosine-logits.js';
export { nextDelta, normSum, type NormSource } from './delta.js';
export { type Labels } from './inputs.js';
export { normAdaptiveCosineLoss, podLoss, selfCorrelationLoss, type PodLossOptions } from './pod.js';
export { globalGradient, localTerms, selfCorrelationValue } from './terms.js';
