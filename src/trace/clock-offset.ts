/** One question for another process's time. All in microseconds. */
export interface ClockSample {
  /** Own clock when the question left. */
  sent: number;
  /** The other's clock when it answered. */
  answered: number;
  /** Own clock when the answer came. */
  received: number;
}

/** What to add to the own clock for the other's, and how far off that may be. */
export interface ClockEstimate {
  offset: number;
  error: number;
}

/** How fast the quartz clocks of two hosts may part: 50 microseconds a second. */
const drift = 5e-5;

/**
 * Another process's clock, from round trips as NTP measures it (RFC 5905).
 *
 *     offset = answered - (sent + received) / 2       error <= (received - sent) / 2
 *
 * The answer was given somewhere between question and receipt, hence the bound. It grows with the sample's age, since
 * clocks drift; the sample with the least bound counts. Clocks of different hosts count from different boots: where
 * the samples do not contradict that both are one clock, they are taken as one.
 */
export class ClockOffset {
  private best: (ClockEstimate & { taken: number }) | undefined;

  add({ sent, answered, received }: ClockSample): void {
    const sample = {
      offset: answered - (sent + received) / 2,
      error: (received - sent) / 2,
      taken: received,
    };
    if (!this.best || sample.error <= this.aged(this.best, received)) this.best = sample;
  }

  /** At a time of the own clock; undefined without a sample. */
  at(now: number): ClockEstimate | undefined {
    if (!this.best) return undefined;
    const { offset, error } = this.best;
    if (Math.abs(offset) <= error) return { offset: 0, error: 0 };
    return { offset, error: this.aged(this.best, now) };
  }

  private aged({ error, taken }: { error: number; taken: number }, now: number): number {
    return error + drift * (now - taken);
  }
}
