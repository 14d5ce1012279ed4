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
  /** Where the gradient of each parameter lies among the flat ones. */
  private readonly places: readonly Float32Array[];

  constructor(private readonly options: CapturedStepsOptions) {
    this.passes = new CapturedPasses({ ...options, what: 'training steps', tensorsOf });
    this.places = options.parameters.within(options.gradients).map(({ values }) => values);
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
    const result = this.passes.run(key, batch, make, add ? undefined : this.into);
    if (!result) return undefined;
    const { pass, values, isGraph } = result;
    let next = pass.outcome.tensors.length;
    const outcome = values.slice(0, next);
    const { parameters, gradients } = this.options;
    pass.gradients?.forEach((gradient, index) => {
      const value = gradient && values[next++];
      if (value !== this.places[index]) parameters.takeGradient(index, value, gradients, add);
    });
    pass.statistics.take(values.slice(next));
    return { values: pass.outcome.of(outcome), isGraph };
  }

  /** The places of the gradients of a pass, in the order of its tensors. */
  private readonly into = ({ outcome, gradients = [] }: TrainingPass): (Float32Array | undefined)[] => [
    ...outcome.tensors.map(() => undefined),
    ...this.places.filter((_, index) => gradients[index]),
  ];
}

function tensorsOf({ outcome, gradients = [], statistics }: TrainingPass): tf.Tensor[] {
  const present = gradients.filter((gradient) => gradient !== undefined);
  return [...outcome.tensors, ...present, ...statistics.tensors];
}
