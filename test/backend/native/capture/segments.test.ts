import { describe, expect, it } from 'vitest';
import { cutIntoSegments } from '../../../../src/backend/native/capture/segments.js';
import type { Node, RecordedPass, Source } from '../../../../src/backend/native/capture/sources.js';

const float = 1;
const scalar = { type: float, shape: [] };
const output = (node: number): Source => ({ kind: 'output', node, output: 0 });
const input = (index: number): Source => ({ kind: 'input', input: index });
const node = (operation: string, segment: number, ...inputs: Source[]): Node => ({
  ...{ operation, segment, inputs, attributes: [], outputs: [scalar] },
});
const call = (inputs: Source[], outputs: number[]) => ({
  ...{ inputs, outputs, sizes: inputs.map(() => 1), compute: () => [], recorded: [] },
});

/** The pass x -> a -> [host] -> b(a, h) -> [host] -> c(b, a, x), d(b). Input 0 is x, inputs 1 and 2 come from the host. */
const pass: RecordedPass = {
  nodes: [
    node('A', 0, input(0)),
    node('Unused', 0, output(0)),
    node('B', 1, output(0), input(1)),
    node('C', 2, output(2), output(0), input(0)),
    node('D', 2, output(2), input(2)),
  ],
  inputs: [scalar, scalar, scalar],
  constants: [{ ...scalar, bytes: new Uint8Array(4) }],
  hostCalls: [call([output(0)], [1]), call([output(2), input(0)], [2])],
  outputs: [output(3), { kind: 'constant', constant: 0 }, input(2)],
};

describe('cutIntoSegments of a pass with two host calls', () => {
  const { segments, copies } = cutIntoSegments(pass);
  const names = (list: readonly { name: string; slot: number }[]) =>
    list.map(({ name, slot }) => [name, slot]);

  it('gives three segments, each fed with values of earlier segments', () => {
    expect(names(segments[0].feeds)).toEqual([['in0:0', -1]]);
    expect(names(segments[1].feeds).sort()).toEqual([
      ['in0:0', 0],
      ['in1:0', -1],
      ['n0:0', 1],
    ]);
    expect(names(segments[2].feeds).sort()).toEqual([
      ['in0:0', 0],
      ['in2:0', -1],
      ['n0:0', 1],
      ['n2:0', 2],
    ]);
  });

  it('fetches the values that the host, later segments and the outputs read', () => {
    expect(names(segments[0].fetches).sort()).toEqual([
      ['copy-of-in0-0:0', 0],
      ['n0:0', -1],
      ['n0:0', 1],
    ]);
    expect(segments[1].targets).toEqual([
      { kind: 'host', call: 1, input: 0 },
      { kind: 'host', call: 1, input: 1 },
    ]);
    expect(segments[2].targets).toEqual([0, 1, 2].map((index) => ({ kind: 'output', output: index })));
    expect(copies.map(({ source }) => source.kind).sort()).toEqual(['constant', 'input', 'input']);
  });

  it('frees a slot after the last segment that reads it', () => {
    expect(segments.map(({ ends }) => [...ends].sort())).toEqual([[], [], [0, 1, 2]]);
  });

  it('leaves out nodes that nothing depends on', () => {
    const all = segments.flatMap(({ feeds, fetches }) => [...feeds, ...fetches]);
    expect(all.some(({ name }) => name.startsWith('n1:') || name.startsWith('n4:'))).toBe(false);
  });
});
