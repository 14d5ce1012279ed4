import { checkConfig } from './config/load.js';
import type { ConfigInput } from './config/schema.js';
import { trainAlone, type AloneOptions } from './training/alone.js';
import type { Report } from './training/run-record.js';

export { initBackend, type Backend } from './backend/index.js';
export { shardRange } from './collective/communicator.js';
export type { CollectiveOptions, Communicator, Numbers, ReduceOp } from './collective/communicator.js';
export { LocalCommunicator } from './collective/local-communicator.js';
export { configSchema, type Config, type ConfigInput } from './config/schema.js';
export { Membership } from './coordinator/membership.js';
export { errorCodes, type ErrorCode } from './error-codes.js';
export { PodDistError, StoppedError, UserError } from './errors.js';
export { launch, type LaunchOptions } from './launch.js';
export { cosineLogits, normAdaptiveCosineLoss, podLoss, selfCorrelationLoss } from './loss/index.js';
export { generateCentroids } from './pedcc/index.js';
export type { Backbone, BackboneOptions } from './models/index.js';
export type { EpochRecord, StepRecord } from './training/reporter.js';
export type { Report, RunListener } from './training/run-record.js';

/** Trains in this process, with one worker; `launch` trains with several. */
export async function train(config: ConfigInput, options?: AloneOptions): Promise<Report> {
  return trainAlone(checkConfig(config, 'config'), options);
}
