/** Which centroids the classes of a run have, where these are not simply as many as there are classes. */
export interface CentroidLayout {
  /** Number of centroids that there are. */
  total: number;
  /** The centroid of each class, by its index. */
  rows: readonly number[];
  /** Classes that an earlier run has trained and this one has no images of, and their centroids, which stay theirs. */
  absent: readonly { name: string; row: number }[];
  /** The centroids, [total, dim], row-major, where they were given; else they are made. */
  given?: Float32Array;
}

/** The first centroids, in order. */
export function inOrder(classes: number): number[] {
  return Array.from({ length: classes }, (_, row) => row);
}
