import { messageOf, PodDistError, UserError } from '../../util/errors.js';
import type { CoordinatorMessage, WorkerMessage } from '../control/protocol.js';
import { disagreement } from './assembly.js';
import { disagreed, stopped, type Cause } from './causes.js';
import type { Generation } from './generation.js';
import type { CoordinatorOptions } from './options.js';

interface ExchangeOptions extends Pick<CoordinatorOptions, 'readPart' | 'combine'> {
  /** Sends every rank a message. */
  answer(message: CoordinatorMessage): void;
  /** Ends the job. */
  fail(cause: Cause): void;
}

type Said<Type> = Extract<WorkerMessage, { type: Type }>;

/** Agreements and gathers of the ranks of a generation, each answered once all ranks have spoken. */
export class Exchange {
  constructor(private readonly options: ExchangeOptions) {}

  agree({ agreements }: Generation, rank: number, { name, value }: Said<'agree'>): void {
    const values = agreements.add(name, rank, value);
    if (!values) return;
    const reason = disagreement(name, values);
    if (reason) this.options.fail(disagreed(reason));
    else this.options.answer({ type: 'agreed', name });
  }

  gather({ gatherings }: Generation, rank: number, { name, part }: Said<'gather'>): void {
    const { readPart = (_name, given) => given, combine, answer, fail } = this.options;
    const parts = gatherings.add(name, rank, readPart(name, part));
    if (!parts) return;
    try {
      answer({ type: 'gathered', name, result: combine(name, parts) });
    } catch (error) {
      // Such as a full disk under the run folder.
      if (error instanceof UserError) return fail(stopped(error.code, messageOf(error), true));
      const reason = `the coordinator could not combine ${name}: ${messageOf(error)}`;
      // Each part is valid by itself, so the parts do not fit together.
      if (error instanceof PodDistError) fail(disagreed(reason));
      else fail(stopped('COORDINATOR_FAILED', reason));
    }
  }
}
