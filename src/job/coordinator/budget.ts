const hourMs = 3_600_000;

/** How many faults a job may have, and how they are forgiven. */
export interface BudgetOptions {
  /** Faults of a worker in an hour, on average, after which the job ends. */
  faultsPerWorkerHour: number;
}

/** Faults so far, less those that time has forgiven, and when that was counted, in milliseconds since 1970. */
export interface Faults {
  spent: number;
  at: number;
}

/** Counts the faults of the whole job; time gives back what they take. */
export class Budget {
  private counted: Faults;

  constructor(
    private readonly workers: number,
    private readonly options: BudgetOptions,
    now: number,
    before?: Faults,
  ) {
    this.counted = before ?? { spent: 0, at: now };
  }

  get faults(): Faults {
    return this.counted;
  }

  /** Takes a fault; false where too many have come in too short a time. */
  take(now: number): boolean {
    const most = Math.max(1, this.workers * this.options.faultsPerWorkerHour);
    const { spent, at } = this.counted;
    const left = Math.max(0, spent - (most * Math.max(0, now - at)) / hourMs);
    this.counted = { spent: left + 1, at: now };
    return left + 1 <= most;
  }
}
