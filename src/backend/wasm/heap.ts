import * as tf from '../../tf/index.js';
import { PodDistError } from '../../util/errors.js';
import { loadProgram, type TrainingKernels } from '../../wasm/load.js';

/** Name of the backend in TensorFlow.js. */
export const backendName = 'wasm';

/** Parts of tfjs's wasm backend that our own kernels use. */
interface WasmBackend extends tf.KernelBackend {
  wasm: {
    HEAPU8: Uint8Array;
    /** Exports of the backend's module. */
    asm: WebAssembly.Exports;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
  };
  dataIdMap: { get(id: object): { memoryOffset: number } };
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
}

/**
 * Our WASM SIMD kernels on the memory of tfjs's wasm backend: its tensors are read and written where they lie.
 */
export class Heap {
  private constructor(
    private readonly backend: WasmBackend,
    readonly kernels: TrainingKernels,
  ) {}

  /** Instantiates the kernels on the memory of the running wasm backend. */
  static open(): Heap {
    const backend = tf.backend() as WasmBackend;
    const memory = Object.values(backend.wasm.asm).find((value) => value instanceof WebAssembly.Memory);
    if (!memory) throw new PodDistError('BACKEND_UNAVAILABLE', 'the wasm backend does not show its memory');
    return new Heap(backend, loadProgram('training', memory));
  }

  /** Address of a tensor's first value. */
  at(tensor: tf.TensorInfo): number {
    return this.backend.dataIdMap.get(tensor.dataId).memoryOffset;
  }

  /** A new tensor whose values are not initialised. */
  create(shape: readonly number[], dtype: tf.DataType = 'float32'): tf.TensorInfo {
    return this.backend.makeOutput([...shape], dtype);
  }

  /** Counts one more user of a tensor's values. */
  share(tensor: tf.TensorInfo): void {
    this.backend.incRef(tensor.dataId);
  }

  /** A new float32 tensor of zeros. */
  zeros(shape: readonly number[]): tf.TensorInfo {
    const tensor = this.create(shape);
    this.clear(this.at(tensor), 4 * tf.util.sizeFromShape([...shape]));
    return tensor;
  }

  clear(pointer: number, bytes: number): void {
    this.backend.wasm.HEAPU8.fill(0, pointer, pointer + bytes);
  }

  /** float32 values of a tensor, or of any memory, valid until something is allocated. */
  floats(pointer: number, length: number): Float32Array {
    return new Float32Array(this.backend.wasm.HEAPU8.buffer, pointer, length);
  }

  doubles(pointer: number, length: number): Float64Array {
    return new Float64Array(this.backend.wasm.HEAPU8.buffer, pointer, length);
  }

  /** Lends zeroed memory of the given sizes in bytes to `use`. */
  lend<T>(sizes: readonly number[], use: (...pointers: number[]) => T): T {
    const { wasm } = this.backend;
    const aligned = sizes.map((size) => (size + 15) & ~15);
    const total = aligned.reduce((sum, size) => sum + size, 0);
    const start = wasm._malloc(total + 16) >>> 0;
    if (start === 0) throw new Error(`the wasm backend has no ${total} bytes left`);
    try {
      let next = (start + 15) & ~15;
      this.clear(next >>> 0, total);
      const pointers = aligned.map((size) => {
        const pointer = next >>> 0;
        next += size;
        return pointer;
      });
      return use(...pointers);
    } finally {
      wasm._free(start);
    }
  }
}
