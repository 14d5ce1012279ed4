/** Milliseconds that workers of a job whose coordinator has ended may take to find the new one: of this host, of others. */
const withinMs = 10_000;
const withinElsewhereMs = 3000;
/** Milliseconds that the others of other hosts have once one has come: all look for the coordinator at the same time. */
const togetherMs = 1000;
/** Those of the host of the lost coordinator, which would have started another one there. */
const ofLostHostMs = 250;

/** Workers of a job that was taken over, as its record has them: of this host, of others, of these the lost coordinator's. */
export interface FormerWorkers {
  workers: readonly number[];
  elsewhere: readonly number[];
  lostWithHost: readonly number[];
}

/** Workers of a job that was taken over which may still come, and how long each is waited for. */
export class Returning {
  private readonly until = new Map<number, number>();
  /** How long each of another host has once one of them has come. */
  private readonly patience = new Map<number, number>();
  private lostWithHost: number[];
  private readonly replaced = new Set<number>();

  constructor({ workers, elsewhere, lostWithHost }: FormerWorkers, now: number) {
    for (const worker of elsewhere) {
      this.patience.set(worker, lostWithHost.includes(worker) ? ofLostHostMs : togetherMs);
      this.until.set(worker, now + withinElsewhereMs);
    }
    for (const worker of workers) this.until.set(worker, now + withinMs);
    this.lostWithHost = [...lostWithHost];
  }

  /** Whether one of them is still waited for. */
  get any(): boolean {
    return this.until.size > 0;
  }

  /** A worker has come, or a new one. */
  arrived(worker: number, now: number): void {
    this.until.delete(worker);
    if (!this.patience.has(worker)) return;
    for (const [other, before] of this.until)
      this.until.set(other, Math.min(before, now + (this.patience.get(other) ?? Infinity)));
  }

  /** One of them has ended; returns whether it was waited for. */
  ended(worker: number): boolean {
    return this.until.delete(worker);
  }

  /** Those that have not come in time: they are waited for no longer. */
  late(now: number): number[] {
    const late = [...this.until].filter(([, until]) => now > until).map(([worker]) => worker);
    for (const worker of late) this.until.delete(worker);
    return late;
  }

  /** Those that are lost with the coordinator's host, the first time: others are to be started in their places at once. */
  lost(): number[] {
    const lost = this.lostWithHost.filter((worker) => this.until.has(worker));
    this.lostWithHost = [];
    for (const worker of lost) this.replaced.add(worker);
    return lost;
  }

  /** Whether another one was started in this one's place already. */
  isReplaced(worker: number): boolean {
    return this.replaced.has(worker);
  }
}
