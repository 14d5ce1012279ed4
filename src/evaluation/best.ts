/** The classes of the `kept` largest scores of each row, best first; of equal scores the first class's comes first. */
export class Best {
  private readonly scores: Float32Array;
  private readonly classes: Int32Array;
  private readonly inner: Float32Array;

  constructor(
    private readonly rows: number,
    private readonly kept: number,
  ) {
    this.scores = new Float32Array(rows * kept).fill(-Infinity);
    this.classes = new Int32Array(rows * kept).fill(-1);
    this.inner = new Float32Array(rows * kept).fill(-Infinity);
  }

  /** Adds classes `start` to `start` + `size` - 1: their scores and inner products, [rows, size] row-major each. */
  add(start: number, size: number, scores: Float32Array, inner: Float32Array): void {
    for (let row = 0; row < this.rows; row++) {
      const last = (row + 1) * this.kept - 1;
      let least = this.scores[last];
      for (let column = 0, index = row * size; column < size; column++, index++) {
        if (!(scores[index] > least)) continue;
        this.insert(row * this.kept, last, start + column, scores[index], inner[index]);
        least = this.scores[last];
      }
    }
  }

  classAt(row: number, place: number): number {
    return this.classes[row * this.kept + place];
  }

  innerAt(row: number, place: number): number {
    return this.inner[row * this.kept + place];
  }

  scoreAt(row: number, place: number): number {
    return this.scores[row * this.kept + place];
  }

  /** The place of a class among the first `places` of a row; -1 where it is not there. */
  placeOf(row: number, label: number, places: number): number {
    const first = row * this.kept;
    return this.classes.subarray(first, first + places).indexOf(label);
  }

  /** The inner product of the best class but `label`. */
  bestBut(row: number, label: number): number {
    return this.innerAt(row, this.classAt(row, 0) === label ? 1 : 0);
  }

  private insert(first: number, last: number, label: number, score: number, inner: number): void {
    const { scores, classes } = this;
    let at = last;
    for (; at > first && score > scores[at - 1]; at--) {
      scores[at] = scores[at - 1];
      classes[at] = classes[at - 1];
      this.inner[at] = this.inner[at - 1];
    }
    scores[at] = score;
    classes[at] = label;
    this.inner[at] = inner;
  }
}
