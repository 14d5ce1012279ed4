import { checkConfig } from './config/load.js';
import type { ConfigInput } from './config/schema.js';
import { trainAlone, type AloneOptions } from './training/alone.js';
import { RunFolder } from './record/run-folder.js';
import type { Report } from './record/records.js';

export { initBackend, type Backend } from './backend/index.js';
export { shardRange } from './collective/communicator.js';
export type { CollectiveOptions, Communicator, Numbers, ReduceOp } from './collective/communicator.js';
export { LocalCommunicator } from './collective/local-communicator.js';
export { configSchema, type Config, type ConfigInput } from './config/schema.js';
export { Membership } from './job/member/membership.js';
export { errorCodes, type ErrorCode } from './util/error-codes.js';
export { PodDistError, StoppedError, UserError } from './util/errors.js';
export { evaluate, type EvaluateOptions } from './api/evaluate.js';
export { exportModel, type ExportOptions } from './api/export-model.js';
export { launch, type LaunchOptions } from './api/launch.js';
export { predict, type PredictOptions, type PredictResult } from './api/predict.js';
export { report, type ReportOptions } from './api/report.js';
export type { CheckpointOptions } from './api/checkpoint-options.js';
export type { LeftOut } from './data/find-images.js';
export type { Evaluation } from './evaluation/schema.js';
export type { ExportFormat } from './export/index.js';
export type { ScoreKind } from './inference/predictor.js';
export type { EvaluateResult } from './launching/evaluate-run.js';
export type { ExportedModel } from './launching/export-model.js';
export type { BrokenImage, PredictedClass, Prediction } from './launching/predict-images.js';
export type { WrittenReport } from './report/index.js';
export { cosineLogits, normAdaptiveCosineLoss, podLoss, selfCorrelationLoss } from './losses/index.js';
export { generateCentroids } from './pedcc/index.js';
export type { Backbone, BackboneOptions } from './models/index.js';
export type { EpochRecord, Report, StepRecord } from './record/records.js';
export type { RunListener } from './record/run-record.js';

/**
 * Trains in this process, with one worker; `launch` trains with several. Rejects with `RUN_EXISTS` or `RUN_BUSY` where
 * `outDir` holds a run already.
 *
 * @example
 * import { train } from 'pod-dist';
 *
 * const learningRate = { schedule: 'constant', rate: 0.1 } as const;
 * const report = await train(
 *   { epochs: 1, backend: 'wasm', learningRate, data: { name: 'digits' }, model: { name: 'small-cnn' } },
 *   { outDir: 'runs/digits' },
 * );
 * console.log(report.evalCorrect, report.weightsSha256);
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
