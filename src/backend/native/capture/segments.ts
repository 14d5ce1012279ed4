import { copyNameOf, nameOf } from './graph-definition.js';
import type { Feed, Fetch } from './graph-addon.js';
import type { RecordedPass, Source, TensorType } from './sources.js';

/** A result of a segment that goes to an array: an output of the pass, or an input of a computation of the host's. */
export type Target = { kind: 'output'; output: number } | { kind: 'host'; call: number; input: number };

/** One run of a part of the graph, up to a computation of the host's or to the end. */
export interface Segment {
  feeds: Feed[];
  fetches: Fetch[];
  /** Numbers of the inputs that are fed as arrays, in the order of `feeds` with slot -1. */
  inputs: number[];
  /** Results that go to arrays, in the order of `fetches` with slot -1. */
  targets: Target[];
  /** Slots that nobody reads after this segment. */
  ends: number[];
}

export interface Segmentation {
  segments: Segment[];
  /** Tensors that are fetched by a copy, since they are fed or constant. */
  copies: { source: Source; type: number }[];
}

const array = -1;

/**
 * Cuts a pass into segments at the host's computations. What one segment makes and a later one reads stays in a slot of
 * the graph, until the last segment that reads it is over. So does an input that several segments read, which is copied
 * into TensorFlow's memory once.
 */
export function cutIntoSegments(pass: RecordedPass): Segmentation {
  const { nodes, inputs, hostCalls, outputs } = pass;
  const needed = neededNodes(pass);
  const segments: Segment[] = Array.from({ length: hostCalls.length + 1 }, () => ({
    ...{ feeds: [], fetches: [], inputs: [], targets: [], ends: [] },
  }));
  const readers = new Map<string, { source: Source; segments: Set<number> }>();
  const reads = (source: Source, segment: number) => {
    if (source.kind === 'constant') return;
    const name = nameOf(source);
    const entry = readers.get(name) ?? { source, segments: new Set() };
    entry.segments.add(segment);
    readers.set(name, entry);
  };
  const copies = new Map<string, { source: Source; type: number }>();
  const typeOf = (source: Source): TensorType =>
    source.kind === 'output'
      ? nodes[source.node].outputs[source.output]
      : source.kind === 'input'
        ? inputs[source.input]
        : pass.constants[source.constant];
  const homeOf = (source: Source, segment: number) =>
    source.kind === 'output' ? nodes[source.node].segment : segment;
  const fetch = (source: Source, segment: number, slot: number) => {
    const isMade = source.kind === 'output';
    if (!isMade) copies.set(copyNameOf(source), { source, type: typeOf(source).type });
    segments[segment].fetches.push({ name: isMade ? nameOf(source) : copyNameOf(source), slot });
  };
  const fetchInto = (source: Source, segment: number, target: Target) => {
    const home = homeOf(source, segment);
    if (source.kind === 'input') reads(source, home);
    fetch(source, home, array);
    segments[home].targets.push(target);
  };

  for (const [index, { inputs, segment }] of nodes.entries())
    if (needed.has(index)) for (const source of inputs) reads(source, segment);
  hostCalls.forEach(({ inputs }, call) =>
    inputs.forEach((source, input) => fetchInto(source, call, { kind: 'host', call, input })),
  );
  outputs.forEach((source, output) => fetchInto(source, hostCalls.length, { kind: 'output', output }));

  let slots = 0;
  for (const [name, { source, segments: reading }] of readers) {
    const order = [...reading].sort((a, b) => a - b);
    const home = homeOf(source, order[0]);
    const later = order.filter((segment) => segment > home);
    const slot = later.length > 0 ? slots++ : array;
    if (slot !== array) fetch(source, home, slot);
    const { type, shape } = typeOf(source);
    if (source.kind === 'input') {
      segments[home].feeds.push({ name, type, shape, slot: array });
      segments[home].inputs.push(source.input);
    }
    for (const segment of later) segments[segment].feeds.push({ name, type, shape, slot });
    if (slot !== array) segments[later[later.length - 1]].ends.push(slot);
  }
  return { segments, copies: [...copies.values()] };
}

/** Nodes that an output or a computation of the host's depends on. */
function neededNodes({ nodes, hostCalls, outputs }: RecordedPass): Set<number> {
  const needed = new Set<number>();
  const need = (source: Source) => void (source.kind === 'output' && needed.add(source.node));
  for (const source of outputs.concat(hostCalls.flatMap(({ inputs }) => inputs))) need(source);
  for (let index = nodes.length - 1; index >= 0; index--)
    if (needed.has(index)) nodes[index].inputs.forEach(need);
  return needed;
}
