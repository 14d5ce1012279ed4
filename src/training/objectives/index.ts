import type { Communicator } from '../../collective/communicator.js';
import type { LossConfig } from '../../config/schema.js';
import type { CentroidSource } from '../../pedcc/source.js';
import type { ClassWeights } from '../class-weights.js';
import { ClassificationObjective } from './classification.js';
import type { Objective } from './objective.js';
import { DotRegressionObjective, PedccObjective } from './pedcc.js';
import { PodObjective } from './pod.js';

export type { LossValues, Objective, Shard } from './objective.js';

interface ObjectiveOptions {
  communicator: Communicator;
  centroids: CentroidSource;
  /** Of the losses that train them. */
  classWeights?: ClassWeights;
}

/** The loss that a recipe names, over all ranks. */
export function createObjective(config: LossConfig, options: ObjectiveOptions): Objective {
  const { communicator, centroids } = options;
  const weights = options.classWeights as ClassWeights;
  switch (config.name) {
    case 'pod':
      return new PodObjective({ communicator, config, centroids });
    case 'softmax':
      return new ClassificationObjective(communicator, weights, { kind: 'none' });
    case 'am-softmax': {
      const { scale, margin } = config;
      return new ClassificationObjective(communicator, weights, { kind: 'cosine', scale, margin });
    }
    case 'arcface': {
      const { scale, margin } = config;
      return new ClassificationObjective(communicator, weights, { kind: 'angle', scale, margin });
    }
    case 'pedcc-loss':
      return new PedccObjective({ communicator, centroids }, config);
    case 'dot-regression':
      return new DotRegressionObjective({ communicator, centroids });
  }
}
