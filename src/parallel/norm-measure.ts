import type { Communicator } from '../collective/communicator.js';
import type { OptimiserKernels } from '../kernels/optimisers.js';
import { sumArrays } from '../collective/pairwise.js';
import { shardOf, type Range } from './buckets.js';
import type { Cut } from './virtual-workers.js';
import { Norms } from './norms.js';
import type { Segment } from '../optim/index.js';

interface NormOptions {
  communicator: Communicator;
  kernels: OptimiserKernels;
  buckets: readonly Range[];
  /** Number of the model's parameters. */
  parameters: number;
  /** Pieces of a range of the flat parameters that may be measured together. */
  segmentsOf(range: Range): Segment[];
  /** Whether norms of weights are measured too. */
  ofWeights: boolean;
  cut: Cut;
}

/**
 * Squared norms of gradients, and of weights, that lie in shards on all ranks.
 *
 * A rank adds up the squares of its shards of all buckets, in double precision, and the ranks' sums are all-reduced: two
 * numbers a parameter. With several virtual workers a rank has as many sums, each of what would be a rank's own shards,
 * which are added up in pairs first: the same bits for any number of ranks (`virtual-workers.ts`).
 */
export class NormMeasure {
  /** Segments by bucket and virtual worker. */
  private readonly segments: readonly (readonly (readonly Segment[])[])[];
  private sums: Norms[] = [];

  constructor(private readonly options: NormOptions) {
    const { buckets, segmentsOf, cut } = options;
    const own = cut.virtualWorkers / cut.worldSize;
    const shards = Array.from({ length: own }, (_, shard) => cut.rank * own + shard);
    this.segments = buckets.map((bucket) =>
      shards.map((rank) => segmentsOf(shardOf(bucket, { rank, worldSize: cut.virtualWorkers }))),
    );
    this.begin();
  }

  begin(): void {
    const { parameters, cut } = this.options;
    this.sums = Array.from({ length: cut.virtualWorkers / cut.worldSize }, () => Norms.none(parameters));
  }

  /** Adds the squares of this rank's part of bucket `index`; returns whether all gradients are finite. */
  add(index: number): boolean {
    const { kernels, ofWeights } = this.options;
    return this.segments[index].every((segments, shard) =>
      segments.every(({ parameter, weights, gradients }) => {
        const square = kernels.squaredNorm(gradients);
        this.sums[shard].add(parameter, ofWeights ? kernels.squaredNorm(weights) : 0, square);
        return Number.isFinite(square);
      }),
    );
  }

  /** The norms over all ranks. */
  async reduce(): Promise<Norms> {
    const squares = sumArrays(this.sums.map((norms) => norms.squares));
    await this.options.communicator.allReduce(squares, { tag: 'norms' });
    return new Norms(squares);
  }
}
