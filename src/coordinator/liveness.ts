/** What a rank's last beat said. */
export interface Beat {
  progress: number;
  waiting: boolean;
  phase: string;
}

/**
 * Tells a rank that has stopped from one that waits for it.
 *
 * Beats come from the communication thread, so a busy compute thread still beats; a stopped process does not. A beat
 * carries the compute thread's progress counter: a rank whose counter stands still while it waits for nobody hangs.
 */
export class Liveness {
  private lastBeat: number;
  private lastMove: number;
  private progress = -1;
  private phase = 'start';

  constructor(
    private readonly stallMs: number,
    now: number,
  ) {
    this.lastBeat = this.lastMove = now;
  }

  /** Counts from now on, when the job starts. */
  restart(now: number): void {
    this.lastBeat = this.lastMove = now;
  }

  beat({ progress, waiting, phase }: Beat, now: number): void {
    this.lastBeat = now;
    this.phase = phase;
    if (progress !== this.progress || waiting) this.lastMove = now;
    this.progress = progress;
  }

  /** What the rank last said it was doing. */
  get doing(): string {
    return this.phase;
  }

  /** One line that says how the rank has stalled; undefined while it has not. */
  stalled(now: number): string | undefined {
    if (now - this.lastBeat > this.stallMs) {
      return `stalled: no sign of life for ${seconds(now - this.lastBeat)} (${this.phase})`;
    }
    if (now - this.lastMove > this.stallMs)
      return `stalled: no progress for ${seconds(now - this.lastMove)} (${this.phase})`;
    return undefined;
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
