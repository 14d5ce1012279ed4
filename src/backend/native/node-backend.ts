import type * as tf from '../../tf/index.js';

/** Name of the backend in TensorFlow.js. */
export const backendName = 'tensorflow';

export type Attribute = { name: string; type: number; value: unknown };

/** The addon as the npm package calls it: constants of TensorFlow's, and functions. */
export interface Binding extends Record<
  | 'TF_ATTR_TYPE'
  | 'TF_ATTR_FLOAT'
  | 'TF_ATTR_STRING'
  | 'TF_ATTR_BOOL'
  | 'TF_ATTR_INT'
  | 'TF_ATTR_SHAPE'
  | 'TF_FLOAT'
  | 'TF_INT32',
  number
> {
  executeOp(
    name: string,
    attributes: readonly Attribute[],
    ids: readonly number[],
    outputs: number,
  ): { id: number; dtype: number; shape: number[] }[];
  createTensor(shape: readonly number[], type: number, values: ArrayBufferView): number;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  deleteTensor(id: number): void;
}

/** Interface of the npm package's backend beyond tfjs's: it runs any TensorFlow operation by name. */
export interface NodeBackend extends tf.KernelBackend {
  isUsingGpuDevice: boolean;
  binding: Binding;
  /** Numbers by which the binding knows tensors; creates those whose values were only stored so far. */
  getInputTensorIds(tensors: readonly tf.TensorInfo[]): number[];
  getDTypeInteger(dtype: tf.DataType): number;
  /** A tensor of a result of the binding's, of a type that TensorFlow.js knows. */
  createOutputTensor(result: { id: number; dtype: number; shape: number[] }): tf.Tensor;
  write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): tf.DataId;
  executeSingleOutput(name: string, attributes: Attribute[], inputs: tf.TensorInfo[]): tf.Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: Attribute[],
    inputs: tf.TensorInfo[],
    outputs: number,
  ): tf.Tensor[];
}

/** Attributes of TensorFlow operations, by type. */
export class Attributes {
  constructor(private readonly binding: Binding) {}

  type(name: string, value: number): Attribute {
    return { name, type: this.binding.TF_ATTR_TYPE, value };
  }

  float32(name = 'T'): Attribute {
    return this.type(name, this.binding.TF_FLOAT);
  }

  number(name: string, value: number): Attribute {
    return { name, type: this.binding.TF_ATTR_FLOAT, value };
  }

  integers(name: string, value: number | readonly number[]): Attribute {
    return { name, type: this.binding.TF_ATTR_INT, value };
  }

  text(name: string, value: string): Attribute {
    return { name, type: this.binding.TF_ATTR_STRING, value };
  }

  flag(name: string, value: boolean): Attribute {
    return { name, type: this.binding.TF_ATTR_BOOL, value };
  }
}
