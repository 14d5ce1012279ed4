import { BinaryField } from './binary-field.js';

/** Frames whose largest cosine would be this or more are not offered. */
const largestOffered = 0.5;

/**
 * A closed-form set of unit vectors in R^d, d = 2^m, any two of which have at most a known absolute cosine: the
 * standard basis, and orthonormal bases of vectors
 *
 *     v(x) = (-1)^(Q(x) + c . x) / sqrt(d),   x in GF(2)^m,   c in GF(2)^m a vector of the basis,   Q a quadratic form
 *
 * one basis a form. Vectors of two bases have cosine 0 or +-2^(-rank/2), with the rank of the difference of their
 * forms' alternating matrices; a vector of the standard basis has cosine +-1/sqrt(d) to all of these. So forms are
 * wanted whose pairwise differences have a large rank; with r = `level`:
 *
 *     m even   x = (y, e), y in GF(2^n), n = m - 1:   Q(x) = K(a y) + e Tr(a y) + sum over j to r of Tr(b_j y^(1 + 2^j))
 *              with K(y) = sum over j to (n - 1)/2 of Tr(y^(1 + 2^j)). r = 0 is Kerdock's set: d/2 forms of rank m, which
 *              with the standard basis make d/2 + 1 mutually unbiased bases, d (d/2 + 1) vectors of largest cosine
 *              1/sqrt(d). Each level more multiplies the forms by d/2 and the cosine by 2 (Delsarte and Goethals).
 *     m odd    x in GF(2^m):   Q(x) = sum over j to r of Tr(b_j x^(1 + 2^j)), r >= 1: d^r forms of rank m + 1 - 2r (Gold),
 *              cosine 2^r / sqrt(2 d)
 *
 * (MacWilliams and Sloane, The Theory of Error-Correcting Codes, chapters 15.3 and 15.5.) No vector is there with its
 * negative. A row costs O(d) time; nothing is stored but tables of O(d) numbers.
 */
export class Frame {
  /** Vectors that there are. */
  readonly size: number;
  /** Largest absolute cosine between two of them. */
  readonly maxCosine: number;
  private readonly field: BinaryField;
  private readonly even: boolean;
  private readonly forms: number;
  private readonly kerdock: Uint8Array;
  private readonly signs: Int8Array;
  private signsOf = -1;

  constructor(
    readonly dim: number,
    private readonly level: number,
  ) {
    const m = Math.log2(dim);
    this.even = m % 2 === 0;
    this.field = new BinaryField(this.even ? m - 1 : m);
    this.forms = (this.even ? dim / 2 : 1) * this.elements ** level;
    this.size = dim * (this.forms + 1);
    this.maxCosine = 2 ** level / Math.sqrt(this.even ? dim : 2 * dim);
    this.signs = new Int8Array(dim);
    this.kerdock = this.even ? this.kerdockTable() : new Uint8Array(0);
  }

  /** The frame of the smallest cosine that has `classes` vectors; undefined where none below 1/2 has. */
  static find(classes: number, dim: number): Frame | undefined {
    const m = Math.log2(dim);
    if (!Number.isInteger(m) || m < 3) return undefined;
    for (let level = m % 2; 2 ** level / Math.sqrt(m % 2 === 0 ? dim : 2 * dim) < largestOffered; level++) {
      const frame = new Frame(dim, level);
      if (frame.size >= classes) return frame;
    }
    return undefined;
  }

  /** Writes vector `index` into `row` ([dim]); vectors of one basis follow one another, the standard basis is last. */
  write(index: number, row: Float64Array): void {
    const { dim, signs } = this;
    const form = Math.floor(index / dim);
    const column = index % dim;
    if (form === this.forms) {
      row.fill(0);
      row[column] = 1;
      return;
    }
    this.prepare(form);
    const size = 1 / Math.sqrt(dim);
    for (let x = 0; x < dim; x++) row[x] = parity(column & x) === signs[x] ? size : -size;
  }

  private get elements(): number {
    return this.field.order + 1;
  }

  /** The values of a form at every point, kept until another is asked for. */
  private prepare(form: number): void {
    if (this.signsOf === form) return;
    this.signsOf = form;
    const { field, signs, level, elements, kerdock } = this;
    const coefficients: number[] = [];
    let rest = this.even ? Math.floor(form / elements) : form;
    for (let j = 1; j <= level; j++, rest = Math.floor(rest / elements)) coefficients.push(rest % elements);
    for (let y = 0; y < elements; y++) {
      let value = 0;
      coefficients.forEach((b, j) => (value ^= field.trace[field.monomial(b, y, 1 + 2 ** (j + 1))]));
      if (this.even) {
        const scaled = field.multiply(form % elements, y);
        signs[y] = value ^ kerdock[scaled];
        signs[y + elements] = signs[y] ^ field.trace[scaled];
      } else signs[y] = value;
    }
  }

  private kerdockTable(): Uint8Array {
    const { field } = this;
    return Uint8Array.from({ length: this.elements }, (_, y) => {
      let value = 0;
      for (let j = 1; j <= (field.degree - 1) / 2; j++)
        value ^= field.trace[field.monomial(1, y, 1 + 2 ** j)];
      return value;
    });
  }
}

/** Whether the number of ones among the bits is odd: 1, else 0. */
function parity(bits: number): number {
  let folded = bits ^ (bits >>> 16);
  folded ^= folded >>> 8;
  folded ^= folded >>> 4;
  return (0x6996 >>> (folded & 15)) & 1;
}
