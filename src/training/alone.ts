import { hostname } from 'node:os';
import { initBackend } from '../backend/index.js';
import { LocalCommunicator } from '../collective/local-communicator.js';
import type { Config } from '../config/schema.js';
import { openDataset } from '../data/index.js';
import { withLogging } from '../logging/run-logging.js';
import { openTrace } from '../trace/trace-file.js';
import { noTracer, SpanRecorder, type Tracer } from '../trace/tracer.js';
import { backendOptions } from '../parallel/bitwise.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { positionOf } from '../checkpoint/checkpoints.js';
import { RunCombiner } from '../record/combine.js';
import { LocalReporter } from '../record/local-reporter.js';
import { RunRecorder, type RunListener } from '../record/run-record.js';
import type { Report } from '../record/records.js';
import { train } from './train.js';
import { throwIfStopped } from '../util/until-stopped.js';

export interface AloneOptions {
  /** Run folder; default: the first of `runs/<name>`, `runs/<name>-2`, ... that is free. */
  outDir?: string;
  /** Followers besides the run record, such as a progress bar. */
  listeners?: readonly RunListener[];
  /** Checkpoint to go on from. */
  resume?: Checkpoint;
  /** Refuse to train without a GPU. */
  requireGpu?: boolean;
  /** Stops the training after the step under way: it rejects with `StoppedError`. */
  signal?: AbortSignal;
  /** Asks for the end after the step under way, with a checkpoint; its reason is an `EndCause`. */
  ending?: AbortSignal;
}

/** Options with a run folder that the caller has locked. */
type InFolder = AloneOptions & { outDir: string };

/**
 * Trains with one worker, in this process: no child process, no socket; the collectives are identities and the step
 * is the one that several workers make.
 */
export async function trainAlone(config: Config, options: InFolder): Promise<Report> {
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  const trace = openTrace(config.trace, { resumed: options.resume !== undefined, notify });
  if (!trace) return trainHere(config, options, noTracer);
  const about = { rank: 0, host: hostname(), clock: { offset: 0, error: 0 } };
  const tracer = new SpanRecorder((spans) => trace.add({ ...about, spans }));
  try {
    return await trainHere(config, options, tracer);
  } finally {
    tracer.flush();
    trace.close();
  }
}

async function trainHere(config: Config, options: InFolder, tracer: Tracer): Promise<Report> {
  const { outDir, resume, requireGpu, listeners = [], signal, ending } = options;
  const backend = await initBackend(config.backend, { ...backendOptions(config), requireGpu });
  throwIfStopped(signal);
  const dataset = await openDataset(config.data, { seed: config.seed });
  try {
    const recorder = RunRecorder.open(outDir, config, resume && positionOf(resume));
    try {
      const communicator = new LocalCommunicator();
      const combiner = new RunCombiner([recorder, ...listeners]);
      const reporter = new LocalReporter(combiner);
      const job = { config, dataset, communicator, reporter, backend, outDir };
      const run = { folder: outDir, config, images: dataset.labels.train.length };
      const notify = (line: string) => void process.stderr.write(`${line}\n`);
      const onMissed = (line: string) => combiner.amend(line);
      const work = () => train({ ...job, resume, tracer, signal, ending });
      return await withLogging(run, { notify, onMissed }, work);
    } finally {
      recorder.close();
    }
  } finally {
    await dataset.close();
  }
}
