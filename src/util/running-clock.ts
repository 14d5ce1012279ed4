/** Milliseconds between two ticks of the timer. */
const tickMs = 500;
/** The thread did not run in between if a tick comes later than this. */
const lateMs = 2000;

/**
 * A clock of the time in which this thread could run.
 *
 * A job may be stopped and continued as a whole: Ctrl-Z and `fg`, `scontrol suspend`, a machine that sleeps. Meanwhile
 * nothing happens and no deadline should come nearer. A timer looks at the clock twice a second; time between two looks
 * that lie more than two and a half seconds apart does not count, but for the half second that was due. Only for threads
 * that wait for events: one that computes for seconds would lose that time as well.
 */
export class RunningClock {
  private last: number;
  private lost = 0;

  /** @param read milliseconds that never go back */
  constructor(private readonly read: () => number = () => performance.now()) {
    this.last = read();
    setInterval(() => this.now(), tickMs).unref();
  }

  /** Milliseconds. */
  now(): number {
    const now = this.read();
    const since = now - this.last;
    if (since > tickMs + lateMs) this.lost += since - tickMs;
    this.last = now;
    return now - this.lost;
  }

  /** Calls `listener` once when so many milliseconds of this clock are over. */
  after(milliseconds: number, listener: () => void): { clear(): void } {
    const end = this.now() + milliseconds;
    const look = () => {
      const left = end - this.now();
      if (left <= 0) listener();
      else timer = setTimeout(look, left);
    };
    let timer = setTimeout(look, milliseconds);
    return { clear: () => clearTimeout(timer) };
  }
}

/** This thread's. */
export const runningClock = new RunningClock();
