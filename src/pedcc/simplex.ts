/**
 * Writes the vertices of the regular simplex with `classes` vertices, before any rotation, in double precision, into
 * rows of at least classes - 1 numbers.
 *
 * The vertices are the columns of the Helmert matrix without its first row, scaled to unit length: with i from 1 to
 * k - 1, column c has 1 / sqrt(i (i + 1)) where i > c, -c / sqrt(c (c + 1)) where i = c, and 0 elsewhere. Columns of
 * the whole k x k Helmert matrix are orthonormal and its first row is constant, so any two of them have inner product
 * -1/k without it, and cosine -1/(k - 1): the most that k vectors can be apart. O(k) a vertex.
 */
export function simplex(classes: number): (index: number, row: Float64Array) => void {
  if (classes === 1) {
    return (_index, row) => {
      row.fill(0);
      row[0] = 1;
    };
  }
  const scale = Math.sqrt(classes / (classes - 1));
  const tail = Float64Array.from({ length: classes - 1 }, (_, i) => scale / Math.sqrt((i + 1) * (i + 2)));
  return (index, row) => {
    row.fill(0);
    row.set(tail.subarray(index), index);
    if (index > 0) row[index - 1] = -index * tail[index - 1];
  };
}
