import type * as tf from '../../tf/index.js';
import { Attributes, type Attribute, type NodeBackend } from './node-backend.js';

/** The number of bfloat16 among TensorFlow's types (tensorflow/core/framework/types.proto). */
export const bfloat16 = 14;

/** A tensor as the binding knows it, of any type. */
export interface Handle {
  id: number;
  dtype: number;
  shape: number[];
}

/**
 * Operations on bfloat16, which TensorFlow.js has no tensors of: between a cast down and a cast up they are known by the
 * binding's numbers alone. Where operations run as a graph, casts that meet are left out (`capture/narrow.ts`).
 */
export class Bfloat16 {
  private readonly down: Attribute[];
  private readonly up: Attribute[];
  private made: number[] = [];

  constructor(private readonly backend: NodeBackend) {
    const attributes = new Attributes(backend.binding);
    const { TF_FLOAT } = backend.binding;
    this.down = [attributes.type('SrcT', TF_FLOAT), attributes.type('DstT', bfloat16)];
    this.up = [attributes.type('SrcT', bfloat16), attributes.type('DstT', TF_FLOAT)];
  }

  /** Runs `compute`, and frees what it has made besides its result. */
  run<T>(compute: (operations: this) => T): T {
    try {
      return compute(this);
    } finally {
      for (const id of this.made) this.backend.binding.deleteTensor(id);
      this.made = [];
    }
  }

  /** The number of a tensor as it is. */
  plain(tensor: tf.TensorInfo): number {
    return this.backend.getInputTensorIds([tensor])[0];
  }

  /** The number of a float32 tensor, rounded to bfloat16: to the nearest, of two as near to the even one. */
  narrow(tensor: tf.TensorInfo): number {
    return this.execute('Cast', this.down, [this.plain(tensor)])[0].id;
  }

  execute(name: string, attributes: Attribute[], ids: readonly number[], outputs = 1): Handle[] {
    const results = this.backend.binding.executeOp(name, attributes, ids, outputs);
    for (const { id } of results) this.made.push(id);
    return results;
  }

  /** A result as a tensor, in float32. */
  tensor(result: Handle): tf.Tensor {
    if (result.dtype !== bfloat16) {
      this.made = this.made.filter((id) => id !== result.id);
      return this.backend.createOutputTensor(result);
    }
    const [wide] = this.backend.binding.executeOp('Cast', this.up, [result.id], 1);
    return this.backend.createOutputTensor(wide);
  }
}
