export type { BackendOptions } from './backend/backend.js';
export type { BackendChoice, BackendName } from './backend/backends.js';
export {
  fromHost,
  onHost,
  readOutcome,
  type HostComputation,
  type HostTensor,
  type Outcome,
} from './backend/host-values.js';
export { initBackend, type Backend } from './backend/index.js';
export { shardRange } from './collective/communicator.js';
export type {
  CollectiveOptions,
  Communicator,
  GatherOptions,
  Numbers,
  Pending,
  ReduceOp,
} from './collective/communicator.js';
export { LocalCommunicator } from './collective/local-communicator.js';
export { defineRecipe, type Lenient, type Recipe } from './config/define-recipe.js';
export { configSchema, type Config, type ConfigInput } from './config/schema.js';
export { Membership } from './job/member/membership.js';
export type { JoinOptions } from './job/member/thread-protocol.js';
export type { WireType } from './transport/wire.js';
export { errorCodes, type ErrorCode } from './util/error-codes.js';
export { PodDistError, PreemptedError, StoppedError, UserError } from './util/errors.js';
export { evaluate, type EvaluateOptions } from './api/evaluate.js';
export { exportModel, type ExportOptions } from './api/export-model.js';
export { features, type FeaturesOptions } from './api/features.js';
export type { Incident, JobHooks, RunHooks, SavedCheckpoint } from './api/hooks.js';
export { launch, train, type LaunchOptions, type TrainOptions } from './api/launch.js';
export { predict, type PredictOptions, type PredictResult } from './api/predict.js';
export { report, type ReportOptions } from './api/report.js';
export { verify, type VerifyOptions } from './api/verify.js';
export type { CheckpointOptions } from './api/checkpoint-options.js';
export type { LeftOut } from './data/find-images.js';
export type { EvaluationTotals } from './evaluation/totals.js';
export type { Evaluation } from './evaluation/schema.js';
export type { EvaluationSample } from './evaluation/sample.js';
export type { ExportFormat } from './export/index.js';
export type { ScoreKind } from './inference/predictor.js';
export type { Verification } from './evaluation/verification.js';
export type { EvaluateResult } from './launching/evaluate-run.js';
export type { ExportedModel } from './launching/export-model.js';
export type { Features } from './launching/features-run.js';
export type { BrokenImage, PredictedClass, Prediction } from './launching/predict-images.js';
export type { VerifyResult } from './launching/verify-run.js';
export type { WrittenReport } from './report/index.js';
export type { PixelOrigins } from './data/pixels/pixel-source.js';
export type { Labels } from './losses/inputs.js';
export {
  cosineLogits,
  normAdaptiveCosineLoss,
  podLoss,
  selfCorrelationLoss,
  type PodLossOptions,
} from './losses/index.js';
export { meanOverImages, type RowTerms } from './losses/index.js';
export type {
  Computed,
  Loss,
  LossContext,
  LossKind,
  LossState,
  LossValues,
  Shard,
  Targets,
} from './losses/index.js';
export * from './config/plugin-settings.js';
export { registerBackbone, registerDataset, registerLoss } from './config/plugins.js';
export { imageFiles, type ImageFilesConfig, type ImageFilesOptions } from './data/image-folder.js';
export type { ImageIndex, SplitIndex } from './data/image-index.js';
export type { ImageContainer } from './data/places/container.js';
export type { ImageParts } from './data/places/place.js';
export type { Batch, BatchRequest, Dataset, DatasetKind, DatasetOptions, SplitName } from './data/index.js';
export { imageFileSettings, storedSettings } from './data/schema.js';
export { storedDataset, type StoredImages, type StoredSplit } from './data/stored-images.js';
export { generateCentroids, type CentroidOptions, type Centroids, type Construction } from './pedcc/index.js';
export type { Backbone, BackboneKind, BackboneOptions } from './models/index.js';
export type {
  CheckpointRecord,
  EpochRecord,
  MissedRecord,
  NoticeRecord,
  RanksRecord,
  RankTimes,
  Report,
  StepRecord,
} from './record/records.js';
export type { RunListener } from './record/run-record.js';
export * as tf from './tf/index.js';
export { z } from 'zod';
