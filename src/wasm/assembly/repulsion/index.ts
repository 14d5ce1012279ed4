// Repulsion between unit vectors. `vectors` and `forces` are float32 [count, stride], rows padded with zeros to whole
// 16 bytes; offsets in bytes, `stride` in bytes.

const rows = 4;
const columns = 2;
/** Cosines of one tile. */
const tile = memory.data(rows * columns * 4);
/** Vectors of one block stay in the second-level cache while the others pass by. */
const blockBytes: usize = 131072;
/** exp(-16) of the largest weight is left out. */
const cutoff: f32 = 16;
const largestExponent: f32 = 20;

/** Sum of the weights of the last call, each counted for both vectors of its pair. */
let total: f64 = 0;

export function weightSum(): f64 {
  return total;
}

/** Where free memory begins. */
export function heapBase(): usize {
  return __heap_base;
}

/**
 * For every pair of the `count` vectors, with cosine c and weight w = exp(beta (c - reference)): forces[i] += w v[j] and
 * forces[j] += w v[i]. Pairs whose weight is below exp(-16) are left out. Returns the largest cosine; forces must be
 * zero before.
 */
export function repel(
  vectors: usize,
  forces: usize,
  count: i32,
  stride: usize,
  beta: f32,
  reference: f32,
): f32 {
  const blockRows = max<i32>((<i32>(blockBytes / stride)) & ~1, columns);
  const threshold = reference - cutoff / beta;
  let largest: f32 = -1;
  total = 0;
  for (let block = 0; block < count; block += blockRows) {
    const blockEnd = min(block + blockRows, count);
    for (let i = 0; i < blockEnd; i += rows) {
      const above = i32(i >= block);
      for (let j = above ? i : block; j < blockEnd; j += columns) {
        products(vectors + <usize>i * stride, vectors + <usize>j * stride, stride);
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            const left = i + row;
            const right = j + column;
            const cosine = load<f32>(tile + ((row * columns + column) << 2));
            if (left >= right || right >= count) continue;
            if (cosine > largest) largest = cosine;
            if (cosine <= threshold) continue;
            const weight = NativeMathf.exp(min(beta * (cosine - reference), largestExponent));
            total += 2 * <f64>weight;
            push(vectors, forces, <usize>left * stride, <usize>right * stride, stride, weight);
          }
        }
      }
    }
  }
  return largest;
}

/** Inner products of four rows with two, eight sums of four lanes at a time. */
function products(left: usize, right: usize, stride: usize): void {
  let a0 = f32x4.splat(0),
    a1 = a0,
    b0 = a0,
    b1 = a0,
    c0 = a0,
    c1 = a0,
    d0 = a0,
    d1 = a0;
  const l1 = left + stride,
    l2 = l1 + stride,
    l3 = l2 + stride,
    r1 = right + stride;
  for (let at: usize = 0; at < stride; at += 16) {
    const x = v128.load(right + at);
    const y = v128.load(r1 + at);
    let v = v128.load(left + at);
    a0 = f32x4.add(a0, f32x4.mul(v, x));
    a1 = f32x4.add(a1, f32x4.mul(v, y));
    v = v128.load(l1 + at);
    b0 = f32x4.add(b0, f32x4.mul(v, x));
    b1 = f32x4.add(b1, f32x4.mul(v, y));
    v = v128.load(l2 + at);
    c0 = f32x4.add(c0, f32x4.mul(v, x));
    c1 = f32x4.add(c1, f32x4.mul(v, y));
    v = v128.load(l3 + at);
    d0 = f32x4.add(d0, f32x4.mul(v, x));
    d1 = f32x4.add(d1, f32x4.mul(v, y));
  }
  v128.store(tile, sums(a0, a1, b0, b1));
  v128.store(tile + 16, sums(c0, c1, d0, d1));
}

/** The sums of the lanes of four vectors, as four lanes. */
function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

function push(vectors: usize, forces: usize, left: usize, right: usize, stride: usize, weight: f32): void {
  const w = f32x4.splat(weight);
  for (let at: usize = 0; at < stride; at += 16) {
    const toLeft = forces + left + at;
    const toRight = forces + right + at;
    v128.store(toLeft, f32x4.add(v128.load(toLeft), f32x4.mul(w, v128.load(vectors + right + at))));
    v128.store(toRight, f32x4.add(v128.load(toRight), f32x4.mul(w, v128.load(vectors + left + at))));
  }
}
