import type { Cause } from './causes.js';
import type { Incident, Reform } from './reform.js';

/**
 * Reports the faults that a job has gone on from. A report waits for the grace time: the first evidence of a fault is often
 * one of its consequences, and what comes later may explain it better.
 */
export class FaultReports {
  /** Changes whose ranks are not connected yet. */
  private formed: Reform[] = [];
  /** The change whose cause may still be explained better, and how to report it. */
  private explaining: Reform | undefined;
  private tellNow = () => {};

  constructor(
    private readonly job: { rendezvous: { generation: { worldSize: number } }; graceMs: number },
    private readonly onIncident: (incident: Incident) => void,
  ) {}

  /** A configuration has been formed after this change; its ranks connect. */
  add(reform: Reform): void {
    this.formed.push(reform);
  }

  /** The ranks of the present configuration go on. */
  going(now: number): void {
    for (const reform of this.formed.splice(0)) this.tell(reform, (now - reform.since) / 1000);
  }

  /** Takes evidence as one of the fault that is to be reported next; false where it is of another one. */
  explain(cause: Cause): boolean {
    const { explaining } = this;
    const [{ pid }] = cause;
    if (!explaining || pid === undefined || pid !== explaining.failure.pid) return false;
    explaining.consider(cause);
    return true;
  }

  /** Reports what is not reported yet. */
  stop(): void {
    this.tellNow();
  }

  private tell(reform: Reform, seconds: number): void {
    const { rendezvous, graceMs } = this.job;
    const { worldSize } = rendezvous.generation;
    this.tellNow();
    this.explaining = reform;
    const timer = setTimeout(() => this.tellNow(), graceMs);
    this.tellNow = () => {
      clearTimeout(timer);
      this.tellNow = () => {};
      this.explaining = undefined;
      const { code, cause, rank, host } = reform.failure;
      this.onIncident({ generation: reform.generation, rank, host, code, cause, seconds, worldSize });
    };
  }
}
