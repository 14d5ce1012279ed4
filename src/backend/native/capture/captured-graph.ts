import type { CapturedPass, Recording } from '../../capture.js';
import type { HostTensor } from '../../host-values.js';
import { profileInProgress } from '../../profile.js';
import type { Binding } from '../node-backend.js';
import type { GraphAddon } from './graph-addon.js';
import { graphDefinition } from './graph-definition.js';
import { isEqual } from '../../../util/equal-bits.js';
import { narrowed } from './narrow.js';
import { operationTimes } from './operation-times.js';
import { cutIntoSegments, type Segment } from './segments.js';
import { sessionConfig } from './session-config.js';
import type { HasPass, RecordedPass } from './sources.js';

type Values = HostTensor['values'];
type Execute = (segment: object, values: readonly Values[], results: readonly Float32Array[]) => void;

/** How the parts of a run are made. */
interface Part {
  execute: Execute;
  onHost(call: number): readonly Values[];
  /** Values of inputs; default: those of now. */
  known?: ReadonlyMap<number, Values>;
}

/** A recorded pass as a graph that TensorFlow runs segment by segment, with the host's computations between them. */
export class CapturedGraph implements CapturedPass {
  private readonly graph: object;
  private readonly segments: (Segment & { handle: object })[];
  /** Arrays that the host's computations read, by computation. */
  private readonly read: Float32Array[][];

  private readonly pass: RecordedPass;

  constructor(
    recorded: RecordedPass,
    private readonly addon: GraphAddon,
    binding: Binding,
  ) {
    const pass = (this.pass = narrowed(recorded));
    const { segments, copies } = cutIntoSegments(pass);
    this.graph = addon.createGraph(graphDefinition(pass, copies, binding), sessionConfig());
    this.segments = segments.map((segment) => {
      const { feeds, fetches, ends } = segment;
      return { ...segment, handle: addon.prepare(this.graph, feeds, fetches, ends) };
    });
    this.read = pass.hostCalls.map(({ sizes }) => sizes.map((size) => new Float32Array(size)));
  }

  run(results: readonly Float32Array[]): void {
    const count = profileInProgress();
    const traces: Uint8Array[] = [];
    const trace: Execute = (...run) => void traces.push(this.addon.trace(...run));
    this.runWith(results, {
      execute: count ? trace : this.addon.execute,
      onHost: (call) => this.pass.hostCalls[call].compute(this.read[call]).map(({ values }) => values),
    });
    if (count) for (const time of operationTimes(traces, this.pass.nodes)) count(time);
  }

  rehearse(recording: Recording, results: readonly Float32Array[]): boolean {
    const { pass, seen } = recording as Recording & HasPass;
    const { execute } = this.addon;
    let isSame = true;
    const onHost = (call: number) => {
      isSame &&= this.read[call].every((read, input) => isEqual(read, seen.hostInputs[call][input]));
      return pass.hostCalls[call].recorded;
    };
    this.runWith(results, { execute, onHost, known: seen.given });
    return isSame;
  }

  dispose(): void {
    this.addon.release(this.graph);
  }

  private runWith(results: readonly Float32Array[], { execute, onHost, known }: Part): void {
    const { hostCalls, inputs } = this.pass;
    const given = new Map<number, Values>();
    for (const [index, { handle, inputs: fed, fetches, targets }] of this.segments.entries()) {
      const valuesOf = (input: number) => given.get(input) ?? known?.get(input) ?? inputs[input].make?.();
      const values = fed.map((input) => valuesOf(input) as Values);
      const arrays = targets.map((target) =>
        target.kind === 'output' ? results[target.output] : this.read[target.call][target.input],
      );
      // TensorFlow refuses a run for nothing.
      if (fetches.length > 0) execute(handle, values, arrays);
      if (index === hostCalls.length) continue;
      const computed = onHost(index);
      hostCalls[index].outputs.forEach((input, output) => given.set(input, computed[output]));
    }
  }
}
