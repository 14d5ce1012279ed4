import { join } from 'node:path';
import type { sinks } from '../../src/logging/sinks.js';
import { readEvents } from './events.js';

/** A tool that shows a run, and what it shows. */
export interface Subject {
  /** Begins before the sinks do. */
  begin?(): Promise<void>;
  end?(): Promise<void>;
  /** Numbers of the steps whose loss it shows, in the order in which it shows them. */
  steps(folder: string): Promise<number[]>;
  /** What it shows besides steps once a run has ended: names that each have a value. */
  names(folder: string): Promise<string[]>;
  /** Names that it is to show of the run's epochs, incidents, evaluation and report. */
  expected: readonly string[];
}

/** Every sink. */
export const subjects: Record<keyof typeof sinks, () => Subject> = {
  tensorboard: () => {
    const eventsOf = (folder: string) => readEvents(join(folder, 'tensorboard'));
    return {
      steps: async (folder) =>
        eventsOf(folder)
          .filter(({ tag }) => tag === 'loss/total')
          .map(({ step }) => step),
      names: async (folder) => [...new Set(eventsOf(folder).map(({ tag }) => tag))],
      expected: [
        ...['epoch/accuracy', 'epoch/mean_cosine', 'incidents', 'report', 'settings'],
        ...['evaluation/confusion matrix', 'evaluation/predictions', 'evaluation/norm of the features'],
        ...['evaluation/cosine to the own centroid', '_hparams_/session_start_info'],
      ],
    };
  },
};
