const hourMs = 3_600_000;

/** How many faults a job may have, and how they are forgiven. */
export interface BudgetOptions {
  /** Faults of a worker in an hour, on average, after which the job ends. */
  faultsPerWorkerHour: number;
}

/** Counts the faults of the whole job; time gives back what they take. */
export class Budget {
  private spent = 0;
  private since: number;

  constructor(
    private readonly workers: number,
    private readonly options: BudgetOptions,
    now: number,
  ) {
    this.since = now;
  }

  /** Takes a fault; false where too many have come in too short a time. */
  take(now: number): boolean {
    const most = Math.max(1, this.workers * this.options.faultsPerWorkerHour);
    this.spent = Math.max(0, this.spent - (most * (now - this.since)) / hourMs) + 1;
    this.since = now;
    return this.spent <= most;
  }
}
