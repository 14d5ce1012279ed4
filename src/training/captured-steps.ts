import * as tf from '../tf/index.js';
import type { Capture, CapturedPass, CapturedWeight, Recording } from '../backend/capture.js';
import type { Outcome } from '../backend/host-values.js';
import type { Batch } from '../data/dataset.js';
import { messageOf } from '../util/errors.js';
import type { LossValues } from '../losses/index.js';
import type { PendingStatistics } from '../batch-norm/batch-norm.js';

/** A forward and backward pass of one batch. */
export interface Pass {
  outcome: Outcome<LossValues>;
  /** By parameter; undefined where the loss does not depend on it. */
  gradients: readonly (tf.Tensor | undefined)[];
  /** Statistics of batch norm that are still tensors. */
  statistics: PendingStatistics;
}

/** Shapes of batches that are kept as graphs, at most: a run has two, of whole batches and of the last one of an epoch. */
const mostShapes = 4;

interface Shape {
  /** The batch that every run of the graph reads. */
  batch: Batch;
  /** The first pass: its tensors are gone, and what is to be done with their values stays. */
  pass: Pass;
  recording: Recording;
  captured: CapturedPass;
  /** Arrays for the values of a run. */
  results: readonly Float32Array[];
  /** Whether a second recording was the same. */
  isChecked: boolean;
}

export interface CapturedStepsOptions {
  capture: Capture;
  weights: readonly CapturedWeight[];
  /** Arrays that the gradients go to, by parameter. */
  gradients: readonly Float32Array[];
  /** Brings the variables up to date, which operations read one by one and graphs do not. */
  loadVariables(): void;
  /** Called once, with the reason why no pass is captured any more. */
  onObstacle(reason: string): void;
}

/**
 * Runs the passes of training as graphs of the backend's: without JavaScript between the operations.
 *
 * The first pass of a shape is run operation by operation and recorded; its graph is built and run with the same inputs,
 * and must come to the same bits. The second one is recorded as well, and must be made of the same operations and the same
 * constants: what changed from one to the other without being an input, such as a random mask, would be frozen in the
 * graph. Only then the graph takes over. Where anything differs, all passes go on operation by operation.
 *
 * All ranks may decide by themselves: a graph makes the same collectives in the same order as the operations one by one.
 */
export class CapturedSteps {
  private readonly shapes = new Map<string, Shape>();
  private isOff = false;

  constructor(private readonly options: CapturedStepsOptions) {}

  /**
   * One pass over a batch, whose gradients replace those of `options`, or are added to them. `key` tells shapes apart;
   * `make` makes the pass of operations. The caller holds the `tidy`. Returns undefined where it captures nothing.
   */
  run(key: string, batch: Batch, add: boolean, make: (batch: Batch) => Pass): LossValues | undefined {
    if (this.isOff) return undefined;
    const shape = this.shapes.get(key);
    if (shape?.isChecked) return this.replay(shape, batch, add);
    if (!shape && this.shapes.size === mostShapes) return undefined;
    return this.record(key, batch, add, make);
  }

  private record(key: string, batch: Batch, add: boolean, make: (batch: Batch) => Pass): LossValues {
    const own = { ...batch, labels: batch.labels.slice() };
    const { capture, weights, loadVariables } = this.options;
    loadVariables();
    const about = { weights, changing: [own.labels], outputs: tensorsOf };
    const { result: pass, recording } = capture(about, () => make(own));
    const tensors = tensorsOf(pass);
    const values = tensors.map((tensor) => tensor.dataSync<'float32'>());
    tf.dispose(tensors);
    const known = this.shapes.get(key);
    const obstacle = recording.obstacle ?? (known && recording.differenceFrom(known.recording));
    if (obstacle !== undefined) this.giveUp(obstacle);
    else if (known) known.isChecked = true;
    else this.build(key, { batch: own, pass, recording }, values);
    const parts = partsOf(pass, values);
    parts.gradients.forEach((gradient, index) => this.place(index, gradient, add));
    pass.statistics.take(parts.statistics);
    return pass.outcome.of(parts.outcome);
  }

  private build(
    key: string,
    about: Pick<Shape, 'batch' | 'pass' | 'recording'>,
    values: readonly Float32Array[],
  ): void {
    const results = values.map(({ length }) => new Float32Array(length));
    try {
      const captured = about.recording.build();
      captured.rehearse(results);
      if (values.every((wanted, index) => isEqual(wanted, results[index])))
        this.shapes.set(key, { ...about, captured, results, isChecked: false });
      else { if (process.env.DIAG) values.forEach((w,i)=>{ let m=0; for(let k=0;k<w.length;k++) m=Math.max(m,Math.abs(w[k]-results[i][k])); if(m>0) console.log('diff',i,w.length,m); }); this.giveUp('its graph comes to other bits');}
    } catch (error) {
      this.giveUp(`TensorFlow refuses its graph: ${messageOf(error)}`);
    }
  }

  private replay({ batch: own, pass, captured, results }: Shape, batch: Batch, add: boolean): LossValues {
    own.images = batch.images;
    own.labels.set(batch.labels);
    captured.run(results);
    const parts = partsOf(pass, results);
    parts.gradients.forEach((gradient, index) => this.place(index, gradient, add));
    pass.statistics.take(parts.statistics);
    return pass.outcome.of(parts.outcome);
  }

  private place(index: number, values: Float32Array | undefined, add: boolean): void {
    const gradient = this.options.gradients[index];
    if (values === undefined) {
      if (!add) gradient.fill(0);
    } else if (add) for (let at = 0; at < values.length; at++) gradient[at] += values[at];
    else gradient.set(values);
  }

  private giveUp(reason: string): void {
    this.isOff = true;
    this.shapes.clear();
    this.options.onObstacle(reason);
  }
}

function tensorsOf({ outcome, gradients, statistics }: Pass): tf.Tensor[] {
  const present = gradients.filter((gradient) => gradient !== undefined);
  return [...outcome.tensors, ...present, ...statistics.tensors];
}

/** What the values of `tensorsOf` are; a gradient that is absent has none. */
function partsOf(pass: Pass, values: readonly Float32Array[]) {
  let next = pass.outcome.tensors.length;
  const gradients = pass.gradients.map((gradient) => gradient && values[next++]);
  return { outcome: values.slice(0, pass.outcome.tensors.length), gradients, statistics: values.slice(next) };
}

function isEqual(a: Float32Array, b: Float32Array): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);
  return bytes(a).equals(bytes(b));
}
