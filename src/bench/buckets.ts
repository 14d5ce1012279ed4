/** Gradients that are reduced together: a range of the parameters, ready once `layer` has its gradient. */
export interface Bucket {
  /** Elements [start, end). */
  start: number;
  end: number;
  layer: number;
}

/** Buckets of about `bytes`, filled from the last layer to the first, as the backward pass goes. */
export function fillBuckets(layers: readonly number[], bytes: number): Bucket[] {
  const buckets: Bucket[] = [];
  let start = layers.reduce((sum, parameters) => sum + parameters, 0);
  let end = start;
  for (let layer = layers.length - 1; layer >= 0; layer--) {
    start -= layers[layer];
    if ((end - start) * 4 < bytes && layer > 0) continue;
    buckets.push({ start, end, layer });
    end = start;
  }
  return buckets;
}
