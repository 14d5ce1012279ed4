import type { Range } from './buckets.js';
import type { Parameters } from './parameters.js';

/** The parts of the flat parameters that are not trained. */
export class FrozenParts {
  /** Frozen parts of each bucket. */
  private readonly parts: readonly (readonly Range[])[];
  /** Whether all of a bucket is frozen. */
  private readonly whole: readonly boolean[];

  constructor(
    private readonly parameters: Pick<Parameters, 'slots' | 'groups'>,
    buckets: readonly Range[],
  ) {
    this.parts = buckets.map((bucket) => this.within(bucket));
    this.whole = buckets.map((bucket, index) => sizeOf(this.parts[index]) === sizeOf([bucket]));
  }

  /** Number of parameters that are frozen before the first that is trained. */
  static leading({ groups }: Pick<Parameters, 'groups'>): number {
    return Math.max(
      groups.findIndex(({ frozen }) => !frozen),
      0,
    );
  }

  /** Whether all of bucket `index` is frozen: it has nothing to update, and never travels. */
  hasAllOf(index: number): boolean {
    return this.whole[index];
  }

  /** Sets the gradients of bucket `index` to zero where its parameters are frozen. */
  clear(gradients: Float32Array, index: number): void {
    for (const { start, end } of this.parts[index]) gradients.fill(0, start, end);
  }

  /** The frozen parts of a range. */
  within({ start, end }: Range): Range[] {
    const { slots, groups } = this.parameters;
    return slots.flatMap(({ offset, size }, index) => {
      const part = { start: Math.max(offset, start), end: Math.min(offset + size, end) };
      return groups[index].frozen && part.start < part.end ? [part] : [];
    });
  }
}

function sizeOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}
