import { isDeepStrictEqual } from 'node:util';
import type { CapturedPass, Recording } from '../../capture.js';
import type { Binding } from '../node-backend.js';
import { CapturedGraph } from './captured-graph.js';
import type { GraphAddon } from './graph-addon.js';
import type { HasPass, Node, RecordedPass, Seen, Source } from './sources.js';

interface Made {
  pass: RecordedPass;
  seen: Seen;
  obstacle: string | undefined;
  addon: GraphAddon;
  binding: Binding;
}

/** A recorded pass of native TensorFlow. */
export class PassRecording implements Recording, HasPass {
  readonly pass: RecordedPass;
  readonly seen: Seen;
  readonly obstacle: string | undefined;

  constructor(private readonly made: Made) {
    const { pass, seen, obstacle } = made;
    this.pass = pass;
    this.seen = { given: seen.given, hostInputs: seen.hostInputs };
    this.obstacle = obstacle;
  }

  differenceFrom(other: Recording): string | undefined {
    if (!(other instanceof PassRecording)) return 'it is of another backend';
    const [own, known] = [this.pass, other.pass];
    for (const [index, node] of own.nodes.entries()) {
      const before = known.nodes[index];
      const { operation, inputs } = node;
      if (!before || callOf(node) !== callOf(before))
        return `it calls other operations than before, first a ${operation}`;
      const differing = inputs.find((source, place) => !this.isSame(source, before.inputs[place], known));
      if (differing?.kind === 'constant') return `a ${operation} is given other numbers than before`;
      if (differing) return `a ${operation} is given the results of other operations than before`;
    }
    return restOf(own) === restOf(known) ? undefined : 'it is made of other parts than before';
  }

  build(): CapturedPass {
    return new CapturedGraph(this.pass, this.made.addon, this.made.binding);
  }

  /** Whether two sources are the same one, or constants of the same numbers. */
  private isSame(source: Source, other: Source, pass: RecordedPass): boolean {
    if (source.kind !== 'constant' || other.kind !== 'constant') return isDeepStrictEqual(source, other);
    const [own, known] = [this.pass.constants[source.constant], pass.constants[other.constant]];
    return isDeepStrictEqual(own, known);
  }
}

function callOf({ operation, attributes, inputs, outputs, segment }: Node): string {
  return JSON.stringify([operation, attributes, inputs.length, outputs, segment]);
}

function restOf({ nodes, inputs, hostCalls, outputs }: RecordedPass): string {
  return JSON.stringify([
    nodes.length,
    inputs.map(({ type, shape }) => [type, shape]),
    hostCalls.map(({ inputs, sizes, outputs }) => [inputs, sizes, outputs]),
    outputs,
  ]);
}
