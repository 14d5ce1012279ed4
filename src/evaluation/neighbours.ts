import { largest } from '../util/extremes.js';

/** Features with their labels; rows of norm 0 have cosine 0 to all. */
export interface Labelled {
  /** Row-major [images, dim]. */
  values: Float32Array;
  dim: number;
  norms: Float32Array;
  /** Class of each image, as any text. */
  classes: readonly string[];
}

/**
 * The share of images whose `count` nearest others, by cosine, vote for their own class (leave-one-out); of equal votes the
 * class of the nearest counts. Images whose class has no other image cannot be right.
 */
export function nearestNeighbours({ values, dim, norms, classes }: Labelled, count: number): number {
  let right = 0;
  const images = classes.length;
  for (let image = 0; image < images; image++) {
    const nearest: { other: number; cosine: number }[] = [];
    for (let other = 0; other < images; other++) {
      if (other === image) continue;
      let inner = 0;
      for (let at = 0; at < dim; at++) inner += values[image * dim + at] * values[other * dim + at];
      const size = norms[image] * norms[other];
      const cosine = size > 0 ? inner / size : 0;
      if (nearest.length === count && cosine <= nearest[count - 1].cosine) continue;
      const place = nearest.findLastIndex((one) => one.cosine >= cosine) + 1;
      nearest.splice(place, 0, { other, cosine });
      nearest.length = Math.min(nearest.length, count);
    }
    if (winner(nearest.map(({ other }) => classes[other])) === classes[image]) right++;
  }
  return right / images;
}

/** The most frequent; of equal ones that which comes first. */
function winner(votes: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const vote of votes) counts.set(vote, (counts.get(vote) ?? 0) + 1);
  const most = largest(counts.values());
  return votes.find((vote) => counts.get(vote) === most);
}
