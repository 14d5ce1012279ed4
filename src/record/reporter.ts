import type { EvaluationProgress } from '../evaluation/evaluate.js';
import type { Gathers, News } from './reported.js';

/** A worker's reports to its job, and the job's answers. */
export interface Reporter extends EvaluationProgress {
  /** Rejects with `RANKS_DISAGREE`, naming the ranks, unless every rank gives the same value under this name. */
  agree(name: string, value: string): Promise<void>;
  /**
   * Every rank gives its part under this name; resolves with what the coordinator made of all parts. `aside`: the training
   * goes on meanwhile, so that this rank does not count as waiting.
   */
  gather<Name extends keyof Gathers>(
    name: Name,
    part: Gathers[Name]['part'],
    options?: { aside?: boolean },
  ): Promise<Gathers[Name]['result']>;
  /** One-way news for the run record and the console. */
  record(news: News): void;
}
