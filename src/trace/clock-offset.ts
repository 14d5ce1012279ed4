/** One request for another process's time. All times are in microseconds. */
export interface ClockSample {
  /** Own clock when the request was sent. */
  sent: number;
  /** The other process's clock when it answered. */
  answered: number;
  /** Own clock when the answer arrived. */
  received: number;
}

/** The difference to add to the own clock to get the other's, and its largest error. */
export interface ClockEstimate {
  offset: number;
  error: number;
}

/** Largest drift between the clocks of two hosts: 50 microseconds a second. */
const drift = 5e-5;

/**
 * Another process's clock, from round trips as NTP measures it (RFC 5905).
 *
 *     offset = answered - (sent + received) / 2       error <= (received - sent) / 2
 *
 * The answer was given at some time between `sent` and `received`, hence the bound. It grows with the sample's age, since
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
