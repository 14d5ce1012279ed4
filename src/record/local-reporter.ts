import type { RunCombiner } from './combine.js';
import type { Gathers } from './reported.js';
import type { Reporter } from './reporter.js';

/** The reporter of a job of one worker: its own coordinator, in the same process. */
export class LocalReporter implements Reporter {
  constructor(private readonly combiner: RunCombiner) {}

  async agree(): Promise<void> {}

  async gather<Name extends keyof Gathers>(
    name: Name,
    part: Gathers[Name]['part'],
  ): Promise<Gathers[Name]['result']> {
    return this.combiner.combine(name, [part]);
  }

  record(news: { kind: string }): void {
    this.combiner.record(news);
  }

  lengthy(): void {}

  progress(): void {}
}
