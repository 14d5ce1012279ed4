/**
 * Vertex `index` of the regular simplex with `classes` vertices, before any rotation, into `row` ([dim], dim >=
 * classes - 1), in double precision.
 *
 * The vertices are the columns of the Helmert matrix without its first row, scaled to unit length: with i from 1 to
 * k - 1, column c has 1 / sqrt(i (i + 1)) where i > c, -c / sqrt(c (c + 1)) where i = c, and 0 elsewhere. Columns of
 * the whole k x k Helmert matrix are orthonormal and its first row is constant, so any two of them have inner product
 * -1/k without it, and cosine -1/(k - 1): the most that k vectors can be apart. O(k) a vertex.
 */
export function simplexVertex(index: number, classes: number, row: Float64Array): void {
  row.fill(0);
  if (classes === 1) {
    row[0] = 1;
    return;
  }
  const scale = Math.sqrt(classes / (classes - 1));
  if (index > 0) row[index - 1] = (-scale * index) / Math.sqrt(index * (index + 1));
  for (let i = index + 1; i < classes; i++) row[i - 1] = scale / Math.sqrt(i * (i + 1));
}
