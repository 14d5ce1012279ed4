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
  /** From its first batch to its last update. */
  seconds: number;
  /** Of these, waiting for the data loader. */
  loaderSeconds: number;
  /** Of these, the compute thread waiting in collectives: communication that nothing hid. */
  exposedSeconds: number;
}

/** A line an epoch in `metrics.jsonl`: where the time of each rank went, by rank. */
export interface RanksRecord {
  kind: 'ranks';
  epoch: number;
  ranks: RankTimes[];
}

/** Test images that a rank has just measured, of a full evaluation. */
export interface EvaluatedNews {
  kind: 'evaluated';
  images: number;
}

/** What a worker tells the rest of the job, and what the job tells it. */
export interface Reporter {
  /** Rejects with `RANKS_DISAGREE`, naming the ranks, unless every rank gives the same value under this name. */
  agree(name: string, value: string): Promise<void>;
  /** Every rank gives its part under this name; resolves with what the coordinator made of all parts. */
  gather(name: string, part: unknown): Promise<unknown>;
  /** One-way news for the run record and the console, such as a `StepRecord`. */
  record(news: StepRecord | EvaluatedNews): void;
  /** As `progress`, before work that may take long and shows nothing: it has a time-out of its own. */
  lengthy(phase: string, epoch?: number): void;
  /** Says that this worker moves; without it for the stall time-out the job is stopped. */
  progress(phase: string, epoch?: number, step?: number): void;
}
