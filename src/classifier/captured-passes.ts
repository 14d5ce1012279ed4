import * as tf from '../tf/index.js';
import type { Capture, CapturedPass, CapturedWeight, Recording } from '../backend/capture.js';
import type { Batch } from '../data/dataset.js';
import { isEqual } from '../util/equal-bits.js';
import { messageOf } from '../util/errors.js';

/** Shapes of batches that are kept as graphs, at most: a run has whole batches, and the last one of an epoch. */
const mostShapes = 4;

export interface CapturedPassesOptions<Pass> {
  /** What is captured, for messages: `training steps`. */
  what: string;
  capture: Capture;
  weights: readonly CapturedWeight[];
  /** Brings the variables of the weights up to date, which operations read. */
  loadVariables?(): void;
  /** Waits for the weights themselves, which graphs read. */
  waitForWeights?(): void;
  /** The tensors of a pass whose values are wanted, float32. */
  tensorsOf(pass: Pass): readonly tf.Tensor[];
  /** Called once, with a line that says why passes run operation by operation. */
  onNotice(line: string): void;
}

interface Shape<Pass> {
  /** The batch that every run of the graph reads. */
  batch: Batch;
  /** The first pass: its tensors are gone, and what is to be done with their values stays. */
  pass: Pass;
  /** Kept until a second recording has been found to be the same. */
  recording: Recording | undefined;
  captured: CapturedPass;
  /** Arrays for the values of a run. */
  results: readonly Float32Array[];
}

interface Recorded<Pass> extends Pick<Shape<Pass>, 'batch' | 'pass'> {
  recording: Recording;
}

/** The beginning of a line that says why passes are no graphs. */
export function operationByOperation(what: string): string {
  return `${what} run operation by operation, which takes longer`;
}

/** What a pass has come to. */
export interface PassResult<Pass> {
  /** The pass that was made just now, or the one that its graph was recorded of. */
  pass: Pass;
  /** Values of its tensors, valid until the next pass of the same shape. */
  values: readonly Float32Array[];
  /** Whether it ran as a graph. */
  isGraph: boolean;
}

/**
 * Runs passes over batches as graphs of the backend's, without JavaScript between the operations.
 *
 * The first two passes of a shape are run operation by operation and recorded; a graph is built of the first one. Run with
 * the inputs of either, it must come to the same bits. And both must be made of the same operations and the same
 * constants: what changed from one to the other without being an input, such as a random mask, would be frozen in the
 * graph. Only then the graph takes over. Where anything differs, all passes go on operation by operation.
 *
 * All ranks may decide by themselves: a graph makes the same collectives in the same order as the operations one by one.
 */
export class CapturedPasses<Pass> {
  private readonly shapes = new Map<string, Shape<Pass>>();
  private isOff = false;

  constructor(private readonly options: CapturedPassesOptions<Pass>) {}

  /**
   * One pass over a batch, which `make` makes of operations; `key` tells shapes apart. A graph writes its values into the
   * arrays of `into`, where there are some. The caller holds the `tidy`. Returns undefined where the pass is left to the
   * caller.
   */
  run(
    key: string,
    batch: Batch,
    make: (batch: Batch) => Pass,
    into?: (pass: Pass) => readonly (Float32Array | undefined)[],
  ): PassResult<Pass> | undefined {
    if (this.isOff) return undefined;
    const shape = this.shapes.get(key);
    if (shape && !shape.recording) {
      this.options.waitForWeights?.();
      return replay(shape, batch, into?.(shape.pass));
    }
    if (!shape && this.shapes.size === mostShapes) return undefined;
    return this.record(key, batch, make);
  }

  private record(key: string, batch: Batch, make: (batch: Batch) => Pass): PassResult<Pass> {
    const { capture, weights, loadVariables, tensorsOf } = this.options;
    loadVariables?.();
    const own = ownCopy(batch);
    const changing = [own.labels, ...(own.mixed ? [own.mixed.labels] : [])];
    const about = { weights, changing, outputs: tensorsOf };
    const { result: pass, recording } = capture(about, () => make(own));
    const tensors = [...tensorsOf(pass)];
    const values = tensors.map((tensor) => tensor.dataSync<'float32'>());
    tf.dispose(tensors);
    try {
      const obstacle = this.check(key, { batch: own, pass, recording }, values);
      if (obstacle !== undefined) this.giveUp(obstacle);
    } catch (error) {
      this.giveUp(`TensorFlow refuses their graph: ${messageOf(error)}`);
    }
    return { pass, values, isGraph: false };
  }

  /** Takes a recorded pass as a shape's first or second one; returns the reason why it cannot. */
  private check(
    key: string,
    { batch, pass, recording }: Recorded<Pass>,
    values: readonly Float32Array[],
  ): string | undefined {
    const known = this.shapes.get(key);
    const obstacle = recording.obstacle ?? (known?.recording && recording.differenceFrom(known.recording));
    if (obstacle !== undefined) return obstacle;
    const results = values.map(({ length }) => new Float32Array(length));
    const captured = known?.captured ?? recording.build();
    if (known) takeBatch(known.batch, batch);
    const isSame = captured.rehearse(recording, results);
    if (!isSame || !values.every((wanted, index) => isEqual(wanted, results[index])))
      return 'their graph comes to other bits';
    if (known) known.recording = undefined;
    else this.shapes.set(key, { batch, pass, recording, captured, results });
    return undefined;
  }

  /** Frees the graphs. */
  dispose(): void {
    for (const { captured } of this.shapes.values()) captured.dispose();
    this.shapes.clear();
  }

  private giveUp(reason: string): void {
    this.isOff = true;
    this.dispose();
    this.options.onNotice(`${operationByOperation(this.options.what)}: ${reason}`);
  }
}

function replay<Pass>(
  { batch: own, pass, captured, results }: Shape<Pass>,
  batch: Batch,
  into: readonly (Float32Array | undefined)[] = [],
): PassResult<Pass> {
  takeBatch(own, batch);
  const values = results.map((result, index) => into[index] ?? result);
  captured.run(values);
  return { pass, values, isGraph: true };
}

/** Puts a batch where the inputs of a graph are read. */
function takeBatch(own: Batch, { images, labels, mixed }: Batch): void {
  own.images = images;
  own.labels.set(labels);
  if (!own.mixed || !mixed) return;
  own.mixed.labels.set(mixed.labels);
  own.mixed.share = mixed.share;
}

function ownCopy({ labels, mixed, ...batch }: Batch): Batch {
  return {
    ...batch,
    labels: labels.slice(),
    mixed: mixed && { labels: mixed.labels.slice(), share: mixed.share },
  };
}
