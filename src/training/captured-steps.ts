import type * as tf from '../tf/index.js';
import type { Outcome } from '../backend/host-values.js';
import type { PendingStatistics } from '../batch-norm/batch-norm.js';
import { CapturedPasses, type CapturedPassesOptions } from '../classifier/captured-passes.js';
import type { Batch } from '../data/dataset.js';
import type { LossValues } from '../losses/index.js';
import type { Parameters } from '../parallel/parameters.js';

/** A forward and backward pass of one batch. */
export interface TrainingPass {
  outcome: Outcome<LossValues>;
  /** By parameter; undefined where the loss does not depend on it. Absent where hooks take them. */
  gradients?: readonly (tf.Tensor | undefined)[];
  /** Statistics of batch norm that are still tensors. */
  statistics: PendingStatistics;
}

interface CapturedStepsOptions extends Pick<
  CapturedPassesOptions<TrainingPass>,
  'capture' | 'weights' | 'loadVariables' | 'waitForWeights' | 'onNotice'
> {
  parameters: Parameters;
  /** Flat. */
  gradients: Float32Array;
}

/** Passes of training as graphs: what a pass gives goes to the flat gradients, batch norm and the loss. */
export class CapturedSteps {
  private readonly passes: CapturedPasses<TrainingPass>;

  constructor(private readonly options: CapturedStepsOptions) {
    this.passes = new CapturedPasses({ ...options, what: 'training steps', tensorsOf });
  }

  dispose(): void {
    this.passes.dispose();
  }

  /** As `CapturedPasses.run`; the gradients replace the flat ones, or are added to them. */
  run(
    key: string,
    batch: Batch,
    { add, make }: { add: boolean; make(batch: Batch): TrainingPass },
  ): { values: LossValues; isGraph: boolean } | undefined {
    const result = this.passes.run(key, batch, make);
    if (!result) return undefined;
    const { pass, values, isGraph } = result;
    let next = pass.outcome.tensors.length;
    const outcome = values.slice(0, next);
    const { parameters, gradients } = this.options;
    pass.gradients?.forEach((gradient, index) =>
      parameters.takeGradient(index, gradient && values[next++], gradients, add),
    );
    pass.statistics.take(values.slice(next));
    return { values: pass.outcome.of(outcome), isGraph };
  }
}

function tensorsOf({ outcome, gradients = [], statistics }: TrainingPass): tf.Tensor[] {
  const present = gradients.filter((gradient) => gradient !== undefined);
  return [...outcome.tensors, ...present, ...statistics.tensors];
}
