import { noTracer, type Tracer } from '../trace/tracer.js';
import type { Range } from './buckets.js';
import type { Parameters } from './parameters.js';
import type { ShardedOptimiser } from './sharded-optimiser.js';

interface LoaderOptions {
  parameters: Parameters;
  /** Flat: what the optimiser updates. */
  weights: Float32Array;
  optimiser: ShardedOptimiser;
  /** Records when weights are copied into variables; default: no tracing. */
  tracer?: Tracer;
}

/**
 * Copies updated weights into the model's variables as late as possible: a bucket when the first of its variables is
 * read, so that a forward pass begins with the first layers while the weights of later ones are still on their way.
 */
export class WeightLoader {
  /** Whether the variable of a parameter is older than the last update, by parameter. */
  private readonly stale: boolean[];
  /** Whether the weights of the last update are there, by bucket. */
  private readonly arrived: boolean[];
  /** Buckets that hold a parameter, by parameter. */
  private readonly bucketsOf: number[][];
  /** Parameters that a bucket holds parts of, by bucket. */
  private readonly parametersOf: number[][];

  constructor(private readonly options: LoaderOptions) {
    const { parameters, optimiser } = options;
    const { buckets } = optimiser;
    this.stale = parameters.slots.map(() => false);
    this.arrived = buckets.map(() => true);
    const overlap = (a: Range, b: Range) => a.start < b.end && b.start < a.end;
    const ranges = parameters.slots.map(({ offset, size }) => ({ start: offset, end: offset + size }));
    this.bucketsOf = ranges.map((range) => indicesOf(buckets, (bucket) => overlap(bucket, range)));
    this.parametersOf = buckets.map((bucket) => indicesOf(ranges, (range) => overlap(bucket, range)));
  }

  /** The weights have been updated, or will be, all but frozen ones. */
  outdate(): void {
    this.options.parameters.groups.forEach(({ frozen }, index) => (this.stale[index] = !frozen));
    this.arrived.fill(false);
  }

  /** Makes a parameter's variable current before it is read; blocks until its weights are there. */
  load(parameter: number): void {
    if (!this.stale[parameter]) return;
    const { parameters, weights, optimiser, tracer = noTracer } = this.options;
    const buckets = this.bucketsOf[parameter];
    for (const bucket of buckets) {
      optimiser.waitFor(bucket);
      this.arrived[bucket] = true;
    }
    const began = tracer.now();
    for (const index of new Set(buckets.flatMap((bucket) => this.parametersOf[bucket]))) {
      if (!this.stale[index] || !this.bucketsOf[index].every((bucket) => this.arrived[bucket])) continue;
      parameters.write(weights, index);
      this.stale[index] = false;
    }
    tracer.span('compute', 'load weights', began);
  }

  /** Blocks until all weights are those of the last update, for whoever reads them and not the variables. */
  waitForAll(): void {
    for (const bucket of this.arrived.keys()) this.options.optimiser.waitFor(bucket);
    this.arrived.fill(true);
  }

  /** Makes all variables current. */
  loadAll(): void {
    this.bucketsOf.forEach((_, parameter) => this.load(parameter));
  }
}

function indicesOf<T>(items: readonly T[], test: (item: T) => boolean): number[] {
  return [...items.keys()].filter((index) => test(items[index]));
}
