/**
 * The field of 2^degree elements, as integers whose bits are the coefficients of polynomials over GF(2), with tables of
 * powers of a generator, logarithms and traces.
 */
export class BinaryField {
  /** Elements but 0: 2^degree - 1. */
  readonly order: number;
  /** Powers of the generator, [order]. */
  readonly power: Int32Array;
  /** Logarithms to it, [2^degree]; that of 0 is not used. */
  readonly log: Int32Array;
  /** Trace to GF(2), x + x^2 + x^4 + ..., of each element: 0 or 1. */
  readonly trace: Uint8Array;

  constructor(readonly degree: number) {
    this.order = 2 ** degree - 1;
    this.power = generatorPowers(degree);
    this.log = new Int32Array(2 ** degree);
    this.power.forEach((element, exponent) => (this.log[element] = exponent));
    this.trace = new Uint8Array(2 ** degree);
    for (let element = 1; element <= this.order; element++) {
      let sum = 0;
      for (let i = 0; i < degree; i++) sum ^= this.power[(this.log[element] * 2 ** i) % this.order];
      this.trace[element] = sum;
    }
  }

  multiply(a: number, b: number): number {
    return a === 0 || b === 0 ? 0 : this.power[(this.log[a] + this.log[b]) % this.order];
  }

  /** a x^exponent. */
  monomial(a: number, x: number, exponent: number): number {
    if (a === 0 || x === 0) return 0;
    return this.power[(this.log[a] + this.log[x] * exponent) % this.order];
  }
}

/** Powers of x modulo the first polynomial for which they reach every element but 0 (a primitive polynomial). */
function generatorPowers(degree: number): Int32Array {
  const order = 2 ** degree - 1;
  const powers = new Int32Array(order);
  for (let polynomial = 2 ** degree + 1; ; polynomial += 2) {
    let element = 1;
    let count = 0;
    do {
      powers[count++] = element;
      element *= 2;
      if (element > order) element ^= polynomial;
    } while (element !== 1 && count < order);
    if (element === 1 && count === order) return powers;
  }
}
