import * as tf from '../../../tf/index.js';
import type { Capture, CaptureOptions } from '../../capture.js';
import { recordHost, type HostComputation, type HostRecorder, type HostTensor } from '../../host-values.js';
import type { Attribute, Binding, NodeBackend } from '../node-backend.js';
import { PassRecording } from './recording.js';
import type { GraphAddon } from './graph-addon.js';
import type { Constant, HostCall, Input, Node, Seen, Source, TensorType } from './sources.js';

/** Captures passes on this backend. */
export function captureOn(backend: NodeBackend, addon: GraphAddon): Capture {
  return (options, pass) => {
    const recorder = new Recorder(backend, options);
    const result = recorder.record(pass);
    const outputs = options.outputs(result).map((tensor) => recorder.sourceOf(tensor));
    return {
      result,
      recording: new PassRecording({
        ...{ pass: recorder.passWith(outputs), seen: recorder, obstacle: recorder.obstacle },
        ...{ addon, binding: backend.binding },
      }),
    };
  };
}

/**
 * Watches a pass at the border to TensorFlow: while it is recorded, the backend's binding is one that writes down each
 * call and makes it.
 *
 * A tensor that comes out of such a call is known by it. A tensor made by `fromHost`, of a changing array or of a weight is
 * an input. Every other one is a constant: what JavaScript has made of the shapes and the settings.
 */
class Recorder implements HostRecorder, Seen {
  obstacle: string | undefined;
  private readonly nodes: Node[] = [];
  private readonly inputs: Input[] = [];
  private readonly constants: Constant[] = [];
  private readonly hostCalls: HostCall[] = [];
  readonly given = new Map<number, HostTensor['values']>();
  readonly hostInputs: Float32Array[][] = [];
  /** By the number that the binding gives a tensor. */
  private readonly sources = new Map<number, Source>();
  private readonly types = new Map<number, TensorType>();
  private readonly binding: Binding;
  private readonly changing: ReadonlySet<ArrayBufferLike>;
  /** How the values of the tensor that is being created are made anew, where it is an input. */
  private making: Pick<Input, 'make'> | undefined;
  private reading = false;

  constructor(
    private readonly backend: NodeBackend,
    { weights, changing }: Pick<CaptureOptions<unknown>, 'weights' | 'changing'>,
  ) {
    this.binding = backend.binding;
    this.changing = new Set(changing.map(({ buffer }) => buffer));
    for (const { variable, values } of weights) {
      const [id] = backend.getInputTensorIds([variable]);
      const input = { type: this.binding.TF_FLOAT, shape: variable.shape, make: () => values };
      this.given.set(this.addInput(id, input), values.slice());
    }
  }

  record<T>(pass: () => T): T {
    const { backend, binding } = this;
    const { getInputTensorIds } = backend;
    const watched = {
      executeOp: (name: string, attributes: Attribute[], ids: number[], count: number) =>
        this.execute(name, attributes, ids, count),
      createTensor: (shape: number[], type: number, values: HostTensor['values']) =>
        this.create(shape, type, values),
      tensorDataSync: (id: number) => this.read(id),
    };
    // Its properties are read-only, and so would be inherited ones.
    const properties: PropertyDescriptorMap = {};
    for (const [name, value] of Object.entries(watched)) properties[name] = { value };
    backend.binding = Object.create(binding, properties) as Binding;
    backend.getInputTensorIds = (tensors) => {
      const ids = getInputTensorIds.call(backend, tensors);
      tensors.forEach((tensor, index) => this.learn(ids[index], tensor));
      return ids;
    };
    try {
      return recordHost(this, pass);
    } finally {
      backend.binding = binding;
      backend.getInputTensorIds = getInputTensorIds;
    }
  }

  fromHost(make: () => HostTensor, dtype: tf.DataType): tf.Tensor {
    const { values, shape } = make();
    const tensor = tf.tensor(values, shape, dtype);
    this.given.set(this.createInput(tensor, { make: () => make().values }), values);
    return tensor;
  }

  onHost(inputs: readonly tf.Tensor[], compute: HostComputation): tf.Tensor[] {
    const sources = inputs.map((tensor) => this.sourceOf(tensor));
    this.reading = true;
    const values = inputs.map((tensor) => tensor.dataSync<'float32'>());
    this.reading = false;
    this.hostInputs.push(values.map((read) => read.slice()));
    const results = compute(values);
    const outputs: number[] = [];
    const tensors = results.map(({ values, shape }) => {
      const tensor = tf.tensor(values, shape);
      outputs.push(this.createInput(tensor, {}));
      return tensor;
    });
    const sizes = inputs.map(({ size }) => size);
    const recorded = results.map(({ values }) => values.slice());
    this.hostCalls.push({ inputs: sources, sizes, compute, outputs, recorded });
    return tensors;
  }

  sourceOf(tensor: tf.Tensor): Source {
    const [id] = this.backend.getInputTensorIds([tensor]);
    this.learn(id, tensor);
    return this.sourceOfId(id);
  }

  passWith(outputs: readonly Source[]) {
    const { nodes, inputs, constants, hostCalls } = this;
    return { nodes, inputs, constants, hostCalls, outputs };
  }

  private execute(operation: string, attributes: Attribute[], ids: number[], count: number) {
    const inputs = ids.map((id) => this.sourceOfId(id));
    const outputs = this.binding.executeOp(operation, attributes, ids, count);
    const node = this.nodes.length;
    this.nodes.push({
      operation,
      attributes,
      inputs,
      outputs: outputs.map(({ dtype, shape }) => ({ type: dtype, shape })),
      segment: this.hostCalls.length,
    });
    outputs.forEach(({ id }, output) => this.sources.set(id, { kind: 'output', node, output }));
    return outputs;
  }

  private create(shape: number[], type: number, values: HostTensor['values']): number {
    const id = this.binding.createTensor(shape, type, values);
    if (!ArrayBuffer.isView(values)) {
      this.obstacle ??= 'it makes tensors of text';
      return id;
    }
    const making = this.making ?? (this.changing.has(values.buffer) ? { make: () => values } : undefined);
    if (making) this.addInput(id, { type, shape, ...making });
    else this.addConstant(id, { type, shape }, values);
    return id;
  }

  /** Brings a new tensor into being as an input; returns its number. */
  private createInput(tensor: tf.Tensor, making: Pick<Input, 'make'>): number {
    this.making = making;
    try {
      const [id] = this.backend.getInputTensorIds([tensor]);
      const source = this.sourceOfId(id);
      if (source.kind !== 'input') throw new Error('a tensor of the host was there before it was made');
      return source.input;
    } finally {
      this.making = undefined;
    }
  }

  private read(id: number) {
    // TensorFlow.js itself reads indices, such as those of a gather.
    const isValue = this.sources.has(id) && this.types.get(id)?.type !== this.binding.TF_INT32;
    if (!this.reading && isValue && this.sources.get(id)?.kind !== 'constant')
      this.obstacle ??= 'it reads values of tensors in between, other than by onHost';
    return this.binding.tensorDataSync(id);
  }

  private sourceOfId(id: number): Source {
    const known = this.sources.get(id);
    if (known) return known;
    const type = this.types.get(id);
    if (type === undefined) throw new Error(`tensor ${id} has not been seen`);
    return this.addConstant(id, type, this.binding.tensorDataSync(id));
  }

  private learn(id: number, tensor: tf.TensorInfo): void {
    if (this.types.has(id) || !('dataId' in tensor)) return;
    this.types.set(id, { type: this.typeOf(tensor), shape: tensor.shape });
  }

  private typeOf({ dtype }: tf.TensorInfo): number {
    return this.backend.getDTypeInteger(dtype);
  }

  private addInput(id: number, input: Input): number {
    const index = this.inputs.push(input) - 1;
    this.sources.set(id, { kind: 'input', input: index });
    return index;
  }

  private addConstant(id: number, type: TensorType, values: ArrayBufferView): Source {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
    const source = { kind: 'constant', constant: this.constants.push({ ...type, bytes }) - 1 } as const;
    this.sources.set(id, source);
    return source;
  }
}
