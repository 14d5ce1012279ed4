import { join } from 'node:path';
import { initBackend } from '../backend/index.js';
import { LocalCommunicator } from '../collective/local-communicator.js';
import type { Config } from '../config/schema.js';
import { openDataset } from '../data/index.js';
import type { Checkpoint } from './checkpoint.js';
import { RunCombiner } from './combine.js';
import { LocalReporter } from './local-reporter.js';
import { RunRecorder, type Report, type RunListener } from './run-record.js';
import { train } from './train.js';

export interface AloneOptions {
  /** Run folder; default `runs/<name>`. */
  outDir?: string;
  /** Followers besides the run record, such as a progress bar. */
  listeners?: readonly RunListener[];
  /** Where to go on from. */
  resume?: Checkpoint;
  /** Refuse to train without a GPU. */
  requireGpu?: boolean;
}

/**
 * Trains with one worker, in this process: no child process, no socket; the collectives are identities and the step
 * is the one that several workers make.
 */
export async function trainAlone(config: Config, options: AloneOptions = {}): Promise<Report> {
  const outDir = options.outDir ?? join('runs', config.name);
  const backend = await initBackend(config.backend, { requireGpu: options.requireGpu });
  const dataset = await openDataset(config.data, { seed: config.seed });
  try {
    const recorder = RunRecorder.open(outDir, config, options.resume?.epochs);
    try {
      const combiner = new RunCombiner([recorder, ...(options.listeners ?? [])]);
      const communicator = new LocalCommunicator();
      const reporter = new LocalReporter(combiner);
      return await train({
        config,
        dataset,
        communicator,
        reporter,
        backend,
        outDir,
        resume: options.resume,
      });
    } finally {
      recorder.close();
    }
  } finally {
    await dataset.close();
  }
}
