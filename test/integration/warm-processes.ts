import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Processes that tests leave to the tests after them. They end with the process of the tests, whose channel they have. */
export class WarmProcesses {
  private readonly idle: ChildProcess[] = [];

  /** `most`: how many are kept at most. */
  constructor(
    private readonly most: number,
    private readonly start: () => ChildProcess,
  ) {}

  take(): ChildProcess {
    for (let child = this.idle.pop(); child; child = this.idle.pop()) if (runs(child)) return child;
    return this.start();
  }

  /** Keeps processes for others, but for those that have ended, or all that are `spoilt`: these are killed. */
  async giveBack(processes: readonly ChildProcess[], spoilt: boolean): Promise<void> {
    for (const child of processes) {
      if (!runs(child)) continue;
      if (!spoilt && this.idle.length < this.most) {
        this.idle.push(child);
        continue;
      }
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}

function runs({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}
