/** A line a step in `metrics.jsonl`. */
export interface StepRecord {
  kind: 'step';
  epoch: number;
  step: number;
  loss: number;
  /** Parts of POD Loss. */
  nac?: number;
  sc?: number;
  /** Parts of PEDCC-Loss. */
  crossEntropy?: number;
  meanSquaredError?: number;
  /** Of POD Loss; 0 for the others. */
  delta: number;
  lr: number;
  samplesPerSecond: number;
  /** With several workers: milliseconds of the step in which rank 0's compute thread had to wait for collectives. */
  exposedMs?: number;
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

/** What a worker tells the rest of the job, and what the job tells it. */
export interface Reporter {
  /** Rejects with `RANKS_DISAGREE`, naming the ranks, unless every rank gives the same value under this name. */
  agree(name: string, value: string): Promise<void>;
  /** Every rank gives its part under this name; resolves with what the coordinator made of all parts. */
  gather(name: string, part: unknown): Promise<unknown>;
  /** One-way news for the run record and the console, such as a `StepRecord`. */
  record(news: StepRecord | { kind: string }): void;
  /** Says that this worker moves; without it for the stall time-out the job is stopped. */
  progress(phase: string, epoch?: number, step?: number): void;
}
