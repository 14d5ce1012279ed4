/** Classes in the picture, and features of their images, at most. */
const mostClasses = 10;
export const mostImages = 2000;

/**
 * The plane in which features and class vectors are drawn.
 *
 *     a = sum over the first s classes c of cos(2 pi c / s) W_c,   b = the same with sin; both made orthonormal
 *
 * The vertices of a regular simplex fall on the corners of a regular polygon in it, so that every class has a direction
 * of its own (an orthogonal projection, as that on principal components is: but those of a simplex are not determined,
 * and draw classes on top of one another). The features' directions z/|z| are projected, not their lengths.
 */
export class ClassPlane {
  /** Classes 0 to `classes` - 1 are drawn. */
  readonly classes: number;
  /** x and y of each class vector. */
  readonly vectors: [x: number, y: number][];
  private readonly axes: [Float64Array, Float64Array];

  /** `directions`: the unit vectors of the first classes, [s, d] row-major, s as `ClassPlane.classesOf` says. */
  constructor(
    directions: Float32Array,
    private readonly dim: number,
  ) {
    this.classes = directions.length / dim;
    this.axes = orthonormal(circle(directions, dim, Math.cos), circle(directions, dim, Math.sin));
    this.vectors = Array.from({ length: this.classes }, (_, label) => {
      const row = directions.subarray(label * dim, (label + 1) * dim);
      return this.project(row, 1);
    });
  }

  /** Number of classes that are drawn, of `classes`. */
  static classesOf(classes: number): number {
    return Math.min(classes, mostClasses);
  }

  /** Images that are drawn, of those with these labels: every n-th of the classes drawn, at most 2,000. */
  static sample(labels: Int32Array, classes: number): Set<number> {
    const shown = ClassPlane.classesOf(classes);
    const candidates = Int32Array.from(labels.keys()).filter((image) => labels[image] < shown);
    const stride = Math.ceil(candidates.length / mostImages);
    return new Set(candidates.filter((_, index) => index % stride === 0));
  }

  /** x and y of features of length `norm`. */
  project(features: Float32Array, norm: number): [x: number, y: number] {
    const [x, y] = this.axes.map((axis) => {
      let sum = 0;
      for (let index = 0; index < this.dim; index++) sum += axis[index] * features[index];
      return norm > 0 ? sum / norm : 0;
    });
    return [x, y];
  }
}

function circle(directions: Float32Array, dim: number, wave: (angle: number) => number): Float64Array {
  const classes = directions.length / dim;
  const axis = new Float64Array(dim);
  for (let label = 0; label < classes; label++) {
    const weight = wave((2 * Math.PI * label) / classes);
    for (let index = 0; index < dim; index++) axis[index] += weight * directions[label * dim + index];
  }
  return axis;
}

/** Makes two axes orthonormal; a coordinate axis replaces an axis that vanishes (two classes have no second one). */
function orthonormal(first: Float64Array, second: Float64Array): [Float64Array, Float64Array] {
  const a = unit(first) ?? coordinate(first.length, 0);
  const least = a.reduce((at, value, index) => (Math.abs(value) < Math.abs(a[at]) ? index : at), 0);
  const b = unit(without(second, a)) ?? unit(without(coordinate(a.length, least), a));
  return [a, b ?? new Float64Array(a.length)];
}

function without(vector: Float64Array, unitVector: Float64Array): Float64Array {
  const along = vector.reduce((sum, value, index) => sum + value * unitVector[index], 0);
  return vector.map((value, index) => value - along * unitVector[index]);
}

function unit(vector: Float64Array): Float64Array | undefined {
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return norm > 1e-6 ? vector.map((value) => value / norm) : undefined;
}

function coordinate(dim: number, index: number): Float64Array {
  const axis = new Float64Array(dim);
  axis[index] = 1;
  return axis;
}
