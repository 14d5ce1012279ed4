import { checkConfig } from './config/load.js';
import type { ConfigInput } from './config/schema.js';
import { trainAlone, type AloneOptions } from './training/alone.js';
import { RunFolder } from './training/run-folder.js';
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
export { cosineLogits, normAdaptiveCosineLoss, podLoss, selfCorrelationLoss } from './losses/index.js';
export { generateCentroids } from './pedcc/index.js';
export type { Backbone, BackboneOptions } from './models/index.js';
export type { EpochRecord, StepRecord } from './training/reporter.js';
export type { Report, RunListener } from './training/run-record.js';

/**
 * Trains in this process, with one worker; `launch` trains with several. Rejects with `RUN_EXISTS` or `RUN_BUSY` where
 * `outDir` holds a run already.
 */
export async function train(config: ConfigInput, options: AloneOptions = {}): Promise<Report> {
  const checked = checkConfig(config, 'config');
  const { outDir: out, resume, signal } = options;
  const folder = await (resume && out !== undefined
    ? RunFolder.reclaim(out)
    : RunFolder.claim(checked.name, { out, confidential: checked.run.private }));
  const stop = AbortSignal.any([folder.lost, ...(signal ? [signal] : [])]);
  try {
    return await trainAlone(checked, { ...options, outDir: folder.path, signal: stop });
  } finally {
    folder.release();
  }
}
