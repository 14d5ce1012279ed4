/** A line a step in `metrics.jsonl`. */
export interface StepRecord {
  kind: 'step';
  epoch: number;
  step: number;
  loss: number;
  lr: number;
  samplesPerSecond: number;
  /**
   * With several workers: milliseconds of the step in which rank 0's compute thread had to wait for collectives, those
   * for the weights of the step before included.
   */
  exposedMs?: number;
  /** Parts of the loss and what it carries, by name: of POD Loss `nac`, `sc` and `delta`. */
  [part: string]: number | string | undefined;
}

/** A line an epoch in `metrics.jsonl`. */
export interface EpochRecord {
  kind: 'epoch';
  epoch: number;
  trainLoss: number;
  evalCorrect: number;
  evalTotal: number;
  evalAccuracy: number;
  perClassAccuracy: number[];
  meanCosine: number;
  seconds: number;
  /** With several workers: share of the training time, over all ranks, that compute threads waited for collectives. */
  exposedShare?: number;
}

/** Where one rank's time went in the training of an epoch. */
export interface RankTimes {
  /** Images that this rank trained on. */
  images: number;
  /** Seconds from its first batch to its last update. */
  seconds: number;
  /** Seconds of these that it waited for the data loader. */
  loaderSeconds: number;
  /** Seconds of these that the compute thread waited in collectives: communication that nothing hid. */
  exposedSeconds: number;
}

/** A line an epoch in `metrics.jsonl`: where the time of each rank went, by rank. */
export interface RanksRecord {
  kind: 'ranks';
  epoch: number;
  ranks: RankTimes[];
}

/** Steps and epochs of a run that are recorded already. */
export interface Recorded {
  /** Step and loss of each step. */
  steps: readonly Pick<StepRecord, 'step' | 'loss'>[];
  /** The last epoch. */
  last: EpochRecord | undefined;
}

/** How far a training has come. */
export interface Position {
  /** Epochs that it was trained for. */
  epochs: number;
  /** Steps of the epoch after these. */
  steps: number;
}

/** A checkpoint that has been written completely. */
export interface CheckpointRecord extends Position {
  kind: 'checkpoint';
  /** Name of its folder. */
  name: string;
}

/** A checkpoint, or its evaluation, that could not be written. */
export interface MissedRecord {
  kind: 'missed';
  /** One line: what, where, why, and what to do. */
  message: string;
}

/** A line for people about how a rank works, such as why it is slower than it could be. */
export interface NoticeRecord {
  kind: 'notice';
  message: string;
}

/** Contents of `report.json`. */
export interface Report {
  worldSize: number;
  backend: string;
  /** Device of each rank. */
  devices: string[];
  /** Number of trainable parameters of the model. */
  parameters: number;
  epochs: number;
  evalCorrect: number;
  evalTotal: number;
  evalAccuracy: number;
  /** Training images of all ranks a second, evaluation left out. */
  samplesPerSecond: number;
  /** With several workers: share of the training time, over all ranks, that compute threads waited for collectives. */
  exposedShare?: number;
  centroidsSha256: string;
  weightsSha256: string;
  /** Of the averaged weights and statistics, where `ema.decay` is set. */
  averageSha256?: string;
  seconds: number;
  /** Checkpoints, their copies and other files that could not be written, a line each; absent where all are there. */
  missed?: string[];
}
