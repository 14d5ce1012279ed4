/** Test images that an evaluation keeps the features of, and these. */
export interface EvaluationSample {
  dim: number;
  /** Place of each image in the test split, its class, and the class that it was assigned to. */
  images: Int32Array;
  labels: Int32Array;
  assigned: Int32Array;
  /** Row-major [images, dim]. */
  features: Float32Array;
}

const columns = 3;
/** Bytes of the features of all ranks' samples, at most. */
const mostFeatureBytes = 8 * 2 ** 20;

/** Every how many of `images` images keep their features of `dim` dimensions. */
export function sampleStride(images: number, dim: number): number {
  return Math.max(1, Math.ceil((images * dim * Float32Array.BYTES_PER_ELEMENT) / mostFeatureBytes));
}

/** Bytes of one image of a packed sample. */
export function sampleBytes(dim: number): number {
  return 4 * (columns + dim);
}

/** Packs samples row by row: image, class, assigned class, features; little-endian. */
export class SamplePacker {
  private readonly rows: Buffer[] = [];

  add(image: number, label: number, assigned: number, features: Float32Array): void {
    const head = Int32Array.of(image, label, assigned);
    const values = features.slice();
    this.rows.push(Buffer.from(head.buffer), Buffer.from(values.buffer));
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.rows));
  }
}

/** Unpacks the samples of all ranks into one. */
export function unpackSample(parts: readonly Uint8Array[], dim: number): EvaluationSample {
  const bytes = Uint8Array.from(Buffer.concat(parts));
  const count = bytes.length / sampleBytes(dim);
  const whole = new Int32Array(bytes.buffer, 0, count * (columns + dim));
  const values = new Float32Array(bytes.buffer, 0, count * (columns + dim));
  const column = (index: number) =>
    Int32Array.from({ length: count }, (_, row) => whole[row * (columns + dim) + index]);
  const features = new Float32Array(count * dim);
  for (let row = 0; row < count; row++) {
    const start = row * (columns + dim) + columns;
    features.set(values.subarray(start, start + dim), row * dim);
  }
  return { dim, images: column(0), labels: column(1), assigned: column(2), features };
}

/** Packs a whole sample as `SamplePacker` does. */
export function packSample({ dim, images, labels, assigned, features }: EvaluationSample): Uint8Array {
  const packer = new SamplePacker();
  images.forEach((image, row) =>
    packer.add(image, labels[row], assigned[row], features.subarray(row * dim, (row + 1) * dim)),
  );
  return packer.bytes;
}
