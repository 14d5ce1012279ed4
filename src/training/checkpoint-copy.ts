import { cutInto, shardLength, type OwnArray, type ShardLayout } from '../checkpoint/layout.js';
import type { FinishOne } from '../checkpoint/save.js';
import type { Trained } from './snapshot.js';
import type { TrainingState } from './state.js';

/** Contents of a checkpoint, copied out of a training. */
export interface Copy {
  layout: ShardLayout;
  /** Of each rank whose file this one writes, its numbers in the order of the file. */
  files: { rank: number; numbers: Float32Array }[];
  sums: number[];
  moving: Float32Array;
  about: Omit<FinishOne['about'], 'within'>;
  within?: { steps: number; step: number; lossSum: number };
}

/**
 * Copies what a checkpoint consists of out of a training: 4 (k + 1) P / N bytes a rank, for k arrays of optimiser state. The
 * copy lies in the same shared memory each time: new memory takes the system longer to give than the copy takes.
 */
export class Copier {
  private memory = new Float32Array(new SharedArrayBuffer(0));

  constructor(
    private readonly trained: Trained,
    private readonly stepsPerEpoch: number,
    /** Whether every rank writes its own file; else rank 0 gets the numbers of all. */
    private readonly together: boolean,
  ) {}

  /** Copies the training as it is after a step; every rank calls it, once the last copy is written. */
  async copy(state: TrainingState): Promise<Copy> {
    const { classifier, loss, optimiser, communicator, config } = this.trained;
    const { rank, worldSize } = communicator;
    const { stepsPerEpoch } = this;
    await optimiser.complete();
    const { steps, lossSum, unevaluated } = state;
    const within = steps > 0 ? { steps, step: state.epochs * stepsPerEpoch + steps, lossSum } : undefined;
    const residual = within && optimiser.state.feedback.kept;
    const moving = classifier.batchNorm.flatten();
    const local = config.batchNorm.statistics === 'local' && worldSize > 1;
    const own: { name: OwnArray['name']; values: Float32Array }[] = [
      ...(residual ? [{ name: 'residual' as const, values: residual }] : []),
      ...(local ? [{ name: 'moving' as const, values: moving }] : []),
    ];
    const names = optimiser.state.names.filter((name) => !(residual && name === 'residual'));
    const layout: ShardLayout = {
      buckets: optimiser.buckets.map(({ start, end }) => ({ start, end })),
      names: ['weights', ...names],
      own: own.map(({ name, values }) => ({ name, length: values.length })),
      worldSize,
    };
    const shards = optimiser.state.shards.slice(0, residual ? names.length : undefined);
    const numbers = this.room(shardLength(rank, layout));
    let offset = cutInto(numbers, classifier.weights, rank, layout);
    for (const values of [...shards, ...own.map((one) => one.values)]) {
      numbers.set(values, offset);
      offset += values.length;
    }
    return {
      layout,
      files: this.together ? [{ rank, numbers }] : await this.collect(numbers, layout),
      sums: [...(loss.state?.sums ?? [])],
      moving,
      about: {
        epochs: state.epochs,
        lossState: loss.state?.values ?? [],
        ...(unevaluated ? { epoch: unevaluated } : {}),
        ...(state.stopping ? { stopping: state.stopping } : {}),
        updates: optimiser.state.updates,
      },
      within,
    };
  }

  /** Memory for so many numbers. */
  private room(length: number): Float32Array {
    if (this.memory.length < length) this.memory = new Float32Array(new SharedArrayBuffer(4 * length));
    return this.memory.subarray(0, length);
  }

  /** The numbers of all ranks, in rank 0: 4 (k + 1) P bytes to every rank. */
  private async collect(own: Float32Array, layout: ShardLayout): Promise<Copy['files']> {
    const { communicator } = this.trained;
    const files: Copy['files'] = [];
    for (let rank = 0; rank < layout.worldSize; rank++) {
      const numbers = rank === communicator.rank ? own : new Float32Array(shardLength(rank, layout));
      await communicator.broadcast(numbers, rank, { tag: `checkpoint/${rank}` });
      if (communicator.rank === 0) files.push({ rank, numbers });
    }
    return files;
  }
}
