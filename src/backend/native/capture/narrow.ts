import { bfloat16 } from '../bfloat16.js';
import { nameOf } from './graph-definition.js';
import type { Node, RecordedPass, Source } from './sources.js';

const float32 = 1;

/**
 * Operations that only choose or move values, with the inputs in which these lie: of values that a bfloat16 can hold they
 * make such values, and it is the same whether they are cast before or after.
 */
const moving: Readonly<Record<string, (inputs: number) => number>> = {
  ConcatV2: (inputs) => inputs - 1,
  Identity: () => 1,
  Relu: () => 1,
  ReluGrad: () => 2,
  Reshape: () => 1,
  Slice: () => 1,
  SplitV: () => 1,
  Transpose: () => 1,
};

const sums = new Set(['Add', 'AddV2']);

/**
 * A pass with as few casts between float32 and bfloat16 as it can do with, to the same bits:
 *
 * - what is cast up and then down is what it was before;
 * - what is cast down several times, such as a filter for a convolution and its gradient, is so once;
 * - what only moves values moves them in bfloat16;
 * - a sum of two tensors that were cast up, and that is cast down, is one operation that rounds once.
 *
 * Casts that nobody needs any more stay in the list: TensorFlow does not run them.
 */
export function narrowed(pass: RecordedPass): RecordedPass {
  const narrowing = new Narrowing();
  pass.nodes.forEach((node, index) => narrowing.take(node, index));
  const source = (one: Source) => narrowing.sourceOf(one);
  return {
    ...pass,
    nodes: narrowing.nodes,
    hostCalls: pass.hostCalls.map((call) => ({ ...call, inputs: call.inputs.map(source) })),
    outputs: pass.outputs.map(source),
  };
}

class Narrowing {
  readonly nodes: Node[] = [];
  /** Where the results of the recorded nodes come from now, by the names that they had. */
  private readonly moved = new Map<string, Source>();
  /** By the name of a float32 tensor: the bfloat16 tensor that it was cast up from. */
  private readonly origins = new Map<string, Source>();
  /** By the name of a float32 tensor: the bfloat16 tensor that it was cast down to. */
  private readonly rounded = new Map<string, Source>();

  sourceOf(source: Source): Source {
    return this.moved.get(nameOf(source)) ?? source;
  }

  take(recorded: Node, index: number): void {
    const node = { ...recorded, inputs: recorded.inputs.map((source) => this.sourceOf(source)) };
    const results = this.isCast(node, float32, bfloat16) ? [this.castDown(node)] : this.keep(node);
    results.forEach((result, output) =>
      this.moved.set(nameOf({ kind: 'output', node: index, output }), result),
    );
  }

  private castDown(node: Node): Source {
    const [wide] = node.inputs;
    const name = nameOf(wide);
    const known = this.origins.get(name) ?? this.rounded.get(name);
    if (known) return known;
    const [result] = this.add(this.sumOf(wide, node) ?? node);
    this.rounded.set(name, result);
    return result;
  }

  /** The sum of two tensors that were cast up, as one operation on these; undefined for everything else. */
  private sumOf(wide: Source, { segment, outputs }: Node): Node | undefined {
    const sum = wide.kind === 'output' ? this.nodes[wide.node] : undefined;
    if (sum === undefined || !sums.has(sum.operation)) return undefined;
    const inputs = this.narrow(sum.inputs, sum.inputs.length);
    const [{ shape }] = outputs;
    if (!inputs?.every((input) => this.shapeOf(input) === shape.join())) return undefined;
    return { operation: 'PodDistAdd', attributes: [], inputs, outputs, segment };
  }

  private keep(node: Node): Source[] {
    const { operation, inputs, outputs, segment } = node;
    if (this.isCast(node, bfloat16, float32)) {
      const results = this.add(node);
      this.origins.set(nameOf(results[0]), inputs[0]);
      return results;
    }
    const count = Object.hasOwn(moving, operation) ? moving[operation](inputs.length) : 0;
    const narrow = count > 0 ? this.narrow(inputs, count) : undefined;
    if (!narrow) return this.add(node);
    const [type] = node.attributes.filter(({ name }) => name === 'T');
    const others = node.attributes.filter(({ name }) => name !== 'T');
    const results = this.add({
      ...node,
      inputs: [...narrow, ...inputs.slice(count)],
      attributes: [{ ...type, value: bfloat16 }, ...others],
      outputs: outputs.map((output) => ({ ...output, type: bfloat16 })),
    });
    return results.map((result, output) => {
      const cast = ['SrcT', 'DstT'].map((name, place) => ({
        ...type,
        name,
        value: [bfloat16, float32][place],
      }));
      const about = { operation: 'Cast', attributes: cast, segment };
      const [wide] = this.add({ ...about, inputs: [result], outputs: [outputs[output]] });
      this.origins.set(nameOf(wide), result);
      return wide;
    });
  }

  /** The bfloat16 tensors that the first `count` inputs were cast up from; undefined where one was not. */
  private narrow(inputs: readonly Source[], count: number): Source[] | undefined {
    const found = inputs.slice(0, count).map((input) => this.origins.get(nameOf(input)));
    return found.every((origin) => origin !== undefined) ? found : undefined;
  }

  private shapeOf(source: Source): string {
    return source.kind === 'output' ? this.nodes[source.node].outputs[source.output].shape.join() : '';
  }

  private isCast({ operation, attributes }: Node, from: number, to: number): boolean {
    const typeOf = (wanted: string) => attributes.find(({ name }) => name === wanted)?.value;
    return operation === 'Cast' && typeOf('SrcT') === from && typeOf('DstT') === to;
  }

  private add(node: Node): Source[] {
    const index = this.nodes.push(node) - 1;
    return node.outputs.map((_, output) => ({ kind: 'output', node: index, output }));
  }
}
