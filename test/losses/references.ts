/** Losses in double precision, one number at a time, each written from its definition: the mean over the rows. */

export interface Case {
  /** [rows][d] */
  features: number[][];
  /** [classes][d] */
  vectors: number[][];
  bias?: number[];
  /** [classes][d] */
  centers?: number[][];
  labels: number[];
}

export type Reference = (values: Case) => number;

const dot = (a: number[], b: number[]) => a.reduce((sum, value, index) => sum + value * b[index], 0);
const norm = (a: number[]) => Math.sqrt(dot(a, a));
const cosine = (a: number[], b: number[]) => {
  const size = norm(a) * norm(b);
  return size === 0 ? 0 : dot(a, b) / size;
};

function meanOverRows(values: Case, row: (z: number[], label: number) => number): number {
  const { features, labels } = values;
  return features.reduce((sum, z, index) => sum + row(z, labels[index]), 0) / features.length;
}

function crossEntropy(logits: number[], label: number): number {
  const largest = Math.max(...logits);
  return (
    Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)) + largest - logits[label]
  );
}

export const softmax: Reference = (values) =>
  meanOverRows(values, (z, label) =>
    crossEntropy(
      values.vectors.map((w, index) => dot(z, w) + (values.bias?.[index] ?? 0)),
      label,
    ),
  );

export const smoothedSoftmax =
  (smoothing: number): Reference =>
  (values) =>
    meanOverRows(values, (z, label) => {
      const logits = values.vectors.map((w, index) => dot(z, w) + (values.bias?.[index] ?? 0));
      const all = logits.map((_, index) => crossEntropy(logits, index));
      const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
      return (1 - smoothing) * crossEntropy(logits, label) + smoothing * mean;
    });

/** The reference loss `of`, each row times the weight of its class. */
export const weighted =
  (weights: number[], of: Reference): Reference =>
  (values) =>
    values.features.reduce((sum, z, row) => {
      const label = values.labels[row];
      return sum + weights[label] * of({ ...values, features: [z], labels: [label] });
    }, 0) / values.features.length;

export const cot =
  (weight: number): Reference =>
  (values) =>
    softmax(values) +
    weight *
      meanOverRows(values, (z, label) => {
        const logits = values.vectors.map((w, index) => dot(z, w) + (values.bias?.[index] ?? 0));
        const others = logits.filter((_, index) => index !== label);
        const sum = others.reduce((all, logit) => all + Math.exp(logit), 0);
        const shares = others.map((logit) => Math.exp(logit) / sum);
        return shares.reduce((all, share) => all + share * Math.log(share), 0) / others.length;
      });

export const centroidSoftmax =
  (scale: number): Reference =>
  (values) =>
    meanOverRows(values, (z, label) =>
      crossEntropy(
        values.vectors.map((w) => scale * dot(z, w)),
        label,
      ),
    );

export const centerLoss =
  (weight: number): Reference =>
  (values) =>
    softmax(values) +
    meanOverRows(values, (z, label) => {
      const center = (values.centers as number[][])[label];
      return (weight / 2) * z.reduce((sum, value, at) => sum + (value - center[at]) ** 2, 0);
    });

export const sphereFace =
  (margin: number, blend: number, normalise: boolean): Reference =>
  (values) =>
    meanOverRows(values, (z, label) =>
      crossEntropy(
        values.vectors.map((w, index) => {
          const length = norm(z) * (normalise ? 1 : norm(w));
          const c = cosine(z, w);
          if (index !== label) return length * c;
          const angle = Math.acos(c);
          const turns = Math.min(margin - 1, Math.floor((margin * angle) / Math.PI));
          const psi = (-1) ** turns * Math.cos(margin * angle) - 2 * turns;
          return (length * (blend * c + psi)) / (1 + blend);
        }),
        label,
      ),
    );

export const amSoftmax =
  (scale: number, margin: number): Reference =>
  (values) =>
    meanOverRows(values, (z, label) =>
      crossEntropy(
        values.vectors.map((w, index) => scale * (cosine(z, w) - (index === label ? margin : 0))),
        label,
      ),
    );

export const arcFace =
  (scale: number, margin: number): Reference =>
  (values) =>
    meanOverRows(values, (z, label) =>
      crossEntropy(
        values.vectors.map((w, index) => {
          const c = cosine(z, w);
          if (index !== label) return scale * c;
          const theta = Math.acos(c);
          return (
            scale * (theta < Math.PI - margin ? Math.cos(theta + margin) : c - margin * Math.sin(margin))
          );
        }),
        label,
      ),
    );

export const pedccLoss =
  (
    scale: number,
    margin: number,
    {
      power = 1,
      weight = 1,
      divisor,
    }: { power?: number; weight?: number; divisor: (values: Case) => number },
  ): Reference =>
  (values) => {
    const squares = values.features.map((z, row) => {
      const size = norm(z) || 1;
      const w = values.vectors[values.labels[row]];
      return z.reduce((sum, value, index) => sum + (value / size - w[index]) ** 2, 0);
    });
    const error = squares.reduce((sum, value) => sum + value, 0) / divisor(values);
    return amSoftmax(scale, margin)(values) + weight * error ** power;
  };

export const dotRegression: Reference = (values) =>
  meanOverRows(values, (z, label) => (cosine(z, values.vectors[label]) - 1) ** 2 / 2);

export const pod =
  (delta: number, lambda: number): Reference =>
  ({ features, vectors, labels }) => {
    const dim = vectors[0].length;
    const nac = meanOverRows({ features, vectors, labels }, (z, label) => {
      const size = Math.sqrt(dot(z, z) + delta ** 2);
      return (1 - dot(z, vectors[label]) / size) ** 2;
    });
    const residuals = features.map((z, row) =>
      z.map((value, at) => value / norm(z) - vectors[labels[row]][at]),
    );
    let sum = 0;
    for (let i = 0; i < dim; i++)
      for (let j = 0; j < dim; j++)
        if (i !== j) sum += (residuals.reduce((all, u) => all + u[i] * u[j], 0) / (features.length - 1)) ** 2;
    return nac + (lambda * sum) / (dim - 1);
  };

/** Central differences of a reference with respect to the values of the case that `key` names. */
export function gradientOf(
  reference: Reference,
  values: Case,
  key: 'features' | 'vectors' | 'bias' | 'centers',
): number[] {
  const step = 1e-5;
  const changed = (row: number, column: number, by: number): Case => {
    const copy = structuredClone(values);
    if (key === 'bias') (copy.bias as number[])[row] += by;
    else (copy[key] as number[][])[row][column] += by;
    return copy;
  };
  const rows = values[key] as number[] | number[][];
  return rows.flatMap((row, index) =>
    (typeof row === 'number' ? [row] : row).map(
      (_, column) =>
        (reference(changed(index, column, step)) - reference(changed(index, column, -step))) / (2 * step),
    ),
  );
}
