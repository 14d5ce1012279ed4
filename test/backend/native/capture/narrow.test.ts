import { describe, expect, it } from 'vitest';
import { narrowed } from '../../../../src/backend/native/capture/narrow.js';
import type { Node, RecordedPass, Source } from '../../../../src/backend/native/capture/sources.js';

const [float32, int32, bfloat16] = [1, 3, 14];
const typeAttribute = 4;
const shape = [2, 3];
const output = (node: number): Source => ({ kind: 'output', node, output: 0 });
const input = (index: number): Source => ({ kind: 'input', input: index });
const types = (values: Record<string, number>) =>
  Object.entries(values).map(([name, value]) => ({ name, type: typeAttribute, value }));
const call = (operation: string, inputs: Source[], type: number, attributes = types({ T: type })): Node => ({
  ...{ operation, inputs, attributes, outputs: [{ type, shape }], segment: 0 },
});
const down = (source: Source) => call('Cast', [source], bfloat16, types({ SrcT: float32, DstT: bfloat16 }));
const up = (source: Source) => call('Cast', [source], float32, types({ SrcT: bfloat16, DstT: float32 }));

function passOf(nodes: Node[], outputs: Source[]): RecordedPass {
  const inputs = [0, 1].map(() => ({ type: float32, shape }));
  const constants = [{ type: int32, shape: [], bytes: new Uint8Array(4) }];
  return { nodes, inputs, constants, hostCalls: [], outputs };
}

/** The computation of a source as a formula, such as `Conv2D[14](down(in0))`, with type attributes in brackets. */
function formula({ nodes }: RecordedPass, source: Source): string {
  if (source.kind !== 'output') return source.kind === 'input' ? `in${source.input}` : 'constant';
  const { operation, inputs, outputs, attributes } = nodes[source.node];
  const kind =
    operation === 'Cast'
      ? outputs[0].type === bfloat16
        ? 'down'
        : 'up'
      : `${operation}[${attributes.map(({ value }) => String(value)).join()}]`;
  return `${kind}(${inputs.map((one) => formula({ nodes } as RecordedPass, one)).join(', ')})`;
}

function formulas(nodes: Node[], outputs: Source[]): string[] {
  const pass = narrowed(passOf(nodes, outputs));
  return pass.outputs.map((source) => formula(pass, source));
}

describe('narrowed', () => {
  it('removes casts up that are followed by casts down', () => {
    const nodes = [down(input(0)), call('Conv2D', [output(0)], bfloat16), up(output(1)), down(output(2))];
    nodes.push(call('Conv2D', [output(3)], bfloat16), up(output(4)));
    expect(formulas(nodes, [output(5), output(2)])).toEqual([
      'up(Conv2D[14](Conv2D[14](down(in0))))',
      'up(Conv2D[14](down(in0)))',
    ]);
  });

  it('keeps casts down whose float32 value is also used, and casts each source down once', () => {
    const nodes = [
      down(input(0)),
      up(output(0)),
      down(input(0)),
      call('Mul', [output(1), input(0)], float32),
    ];
    nodes.push(down(output(3)), call('Conv2D', [output(4), output(2)], bfloat16));
    const pass = narrowed(passOf(nodes, [output(5)]));
    expect(formula(pass, pass.outputs[0])).toBe('Conv2D[14](down(Mul[1](up(down(in0)), in0)), down(in0))');
    expect(pass.nodes.filter(({ outputs }) => outputs[0].type === bfloat16).length).toBe(3);
  });

  it('concatenates in bfloat16 if all inputs are bfloat16', () => {
    const nodes = [down(input(0)), up(output(0)), down(input(1)), up(output(2))];
    const axis: Source = { kind: 'constant', constant: 0 };
    const attributes = types({ N: 2, T: float32, Tidx: int32 });
    nodes.push(call('ConcatV2', [output(1), output(3), axis], float32, attributes), down(output(4)));
    nodes.push(call('ConcatV2', [output(1), input(1), axis], float32, attributes));
    expect(formulas(nodes, [output(5), output(4), output(6)])).toEqual([
      'ConcatV2[14,2,3](down(in0), down(in1), constant)',
      'up(ConcatV2[14,2,3](down(in0), down(in1), constant))',
      'ConcatV2[2,1,3](up(down(in0)), in1, constant)',
    ]);
  });

  it('adds two bfloat16 tensors in one operation if the sum is cast down', () => {
    const nodes = [down(input(0)), up(output(0)), down(input(1)), up(output(2))];
    nodes.push(call('Add', [output(1), output(3)], float32), down(output(4)));
    nodes.push(call('Add', [output(1), input(1)], float32), down(output(6)));
    expect(formulas(nodes, [output(5), output(4), output(7)])).toEqual([
      'PodDistAdd[](down(in0), down(in1))',
      'Add[1](up(down(in0)), up(down(in1)))',
      'down(Add[1](up(down(in0)), in1))',
    ]);
  });

  it('leaves a pass without casts unchanged', () => {
    const nodes = [call('Relu', [input(0)], float32), call('Add', [output(0), input(1)], float32)];
    const pass = passOf(nodes, [output(1)]);
    expect(narrowed(pass)).toEqual(pass);
  });
});
