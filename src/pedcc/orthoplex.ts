/**
 * Vertex `index` of the orthoplex in `row` ([dim]), before any rotation: the basis vectors first, then their
 * negatives. Any two of its at most 2 dim vertices have cosine 0 or -1, and for more than dim + 1 unit vectors no
 * largest cosine below 0 exists (Rankin 1955).
 */
export function orthoplexVertex(index: number, row: Float64Array): void {
  const dim = row.length;
  row.fill(0);
  row[index % dim] = index < dim ? 1 : -1;
}
