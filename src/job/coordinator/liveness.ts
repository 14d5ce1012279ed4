/** Contents of a rank's last beat. */
export interface Beat {
  progress: number;
  waiting: boolean;
  phase: string;
  /** Whether the phase is one that may take long. */
  lengthy?: boolean;
}

/** Time-outs of the watchdog. */
export interface Patience {
  /** Longest time without a sign of life, or without progress. */
  stallTimeoutMs: number;
  /** Longest time without progress in a phase that may take long; default: as in every other. */
  phaseTimeoutMs?: number;
}

/**
 * Distinguishes a stalled rank from the ranks that wait for it.
 *
 * Beats come from the communication thread, so a busy compute thread still beats; a stopped process does not. A beat
 * carries the compute thread's progress counter: a rank whose counter stands still while it waits for nobody hangs. In
 * some phases it may stand still for long: a start, a checkpoint on a slow disk.
 */
export class Liveness {
  private lastBeat: number;
  private lastMove: number;
  private progress = -1;
  private phase = 'start';
  private lengthy = false;

  constructor(
    private readonly patience: Patience,
    now: number,
  ) {
    this.lastBeat = this.lastMove = now;
  }

  /** Counts from now on, when the job starts. */
  restart(now: number): void {
    this.lastBeat = this.lastMove = now;
  }

  beat({ progress, waiting, phase, lengthy = false }: Beat, now: number): void {
    this.lastBeat = now;
    this.phase = phase;
    this.lengthy = lengthy;
    if (progress !== this.progress || waiting) this.lastMove = now;
    this.progress = progress;
  }

  /** Phase in the rank's last beat. */
  get doing(): string {
    return this.phase;
  }

  /** Milliseconds since the last beat. */
  silentMs(now: number): number {
    return now - this.lastBeat;
  }

  /** One line that says how the rank has stalled; undefined while it has not. */
  stalled(now: number): string | undefined {
    const { stallTimeoutMs: stall, phaseTimeoutMs: long = stall } = this.patience;
    const silent = now - this.lastBeat;
    if (silent > stall) return this.describe('sign of life', silent, 'stallTimeoutSeconds', stall);
    const still = now - this.lastMove;
    if (this.lengthy && still > long) return this.describe('progress', still, 'phaseTimeoutSeconds', long);
    if (!this.lengthy && still > stall) return this.describe('progress', still, 'stallTimeoutSeconds', stall);
    return undefined;
  }

  private describe(what: string, missedMs: number, setting: string, limitMs: number): string {
    const limit = `distributed.${setting}: ${limitMs / 1000}`;
    return `stalled: no ${what} for ${seconds(missedMs)} in the phase "${this.phase}" (${limit})`;
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
