import { algorithms } from '../collective/algorithms/index.js';
import { twoShot } from '../collective/algorithms/two-shot.js';
import { intervalOf, retentionOf } from '../config/checkpoint-schema.js';
import type { Config } from '../config/schema.js';
import { stepsPerEpoch } from '../data/sampler.js';
import { RunFolder } from '../record/run-folder.js';
import { freeBytes, gigabytes } from '../util/disk-room.js';
import { UserError } from '../util/errors.js';
import { median } from '../util/median.js';
import { present } from '../util/present.js';
import type { RunRequest } from './plan-run.js';
import { tryRun, type TriedStep, type TryHooks } from './try-run.js';

/** Steps that are made, and of these at the beginning those that are not counted: passes are recorded in them. */
const madeSteps = 14;
const warmSteps = 6;

/** What a run would take; sizes in bytes, times in seconds. */
export interface DryRun {
  workers: number;
  /** Training images, and steps an epoch. */
  images: number;
  stepsPerEpoch: number;
  epochs: number;
  parameters: number;
  /** Memory of one worker: what is computed from shapes, and the most that the process of rank 0 has had. */
  memory: { weights: number; gradients: number; optimiser: number; activations: number; peak: number };
  /** Measured over a few steps of training images, without evaluations. */
  imagesPerSecond: number;
  epochSeconds: number;
  runSeconds: number;
  /** Sent by each worker for gradients and weights. */
  wire: { algorithm: string; stepBytes: number; epochBytes: number };
  disk: { checkpointBytes: number; checkpoints: number; bytes: number; freeBytes: number };
}

/**
 * Checks a run as far as it can be checked without training: settings, data, devices, ports, the run folder, room for
 * its checkpoints. A few steps are made and thrown away.
 *
 * @throws UserError for the first mistake, `RUN_FOLDER_UNWRITABLE` where checkpoints do not fit; else as `launchRun`
 */
export async function dryRun(request: Omit<RunRequest, 'resume'>, hooks: TryHooks): Promise<DryRun> {
  const { out, ...run } = request;
  const rates = Array.from({ length: madeSteps }, () => 1e-6);
  const { plan, steps } = await tryRun(run, () => ({ rates, untilDiverged: false }), hooks);
  const { config, images } = plan;
  const facts = present(steps.at(-1), 'a step');
  const { parameters, stateArrays, imageBytes } = facts;
  const { workers, epochs, batchSize } = config;
  const perEpoch = stepsPerEpoch(images, config);
  const imagesPerSecond = median(steps.slice(warmSteps).map(({ samplesPerSecond }) => samplesPerSecond));
  const epochSeconds = images / imagesPerSecond;
  const weights = 4 * parameters;
  const disk = { ...diskOf(config, facts, perEpoch), freeBytes: await freeFor(config, out) };
  if (disk.bytes > disk.freeBytes)
    throw new UserError(
      'RUN_FOLDER_UNWRITABLE',
      `checkpoints take ${gigabytes(disk.bytes)} on disk, and ${gigabytes(disk.freeBytes)} are free: make room, or lower checkpoint.keep`,
    );
  const wire = wireOf(config, weights);
  return {
    ...{ workers, images, stepsPerEpoch: perEpoch, epochs, parameters },
    memory: {
      weights,
      gradients: weights,
      optimiser: Math.ceil((stateArrays * weights) / workers),
      activations: imageBytes * Math.ceil(Math.min(batchSize, images) / workers),
      peak: facts.peakBytes,
    },
    ...{ imagesPerSecond, epochSeconds, runSeconds: epochs * epochSeconds },
    wire: { ...wire, epochBytes: wire.stepBytes * perEpoch },
    disk,
  };
}

/** Reduce-scatter of the gradients, and all-gather of the weights. */
function wireOf({ workers: worldSize, distributed }: Config, bytes: number) {
  const wanted = algorithms.find(({ name }) => name === distributed.algorithm);
  const algorithm = wanted?.collectives.reduceScatter && wanted.collectives.allGather ? wanted : twoShot;
  const sent = (collective: 'reduceScatter' | 'allGather') =>
    worldSize === 1 ? 0 : algorithm.cost(collective, { bytes, worldSize }).bytes;
  const gradients = sent('reduceScatter') / (distributed.wire === 'bf16' ? 2 : 1);
  return { algorithm: algorithm.name, stepBytes: Math.ceil(gradients + sent('allGather')) };
}

function diskOf(config: Config, { parameters, stateArrays, movingNumbers }: TriedStep, perEpoch: number) {
  const checkpointBytes = 4 * (parameters * (1 + stateArrays) + movingNumbers);
  const { count, unit } = intervalOf(config.checkpoint);
  const { last, best, everyEpochs } = retentionOf(config.checkpoint);
  const ofSteps = Math.ceil((config.epochs * perEpoch) / count);
  const written =
    unit === 'epochs' ? Math.ceil(config.epochs / count) : unit === 'steps' ? ofSteps : Infinity;
  const besides = best.reduce((sum, rule) => sum + rule.count, 0);
  const spaced = everyEpochs === 0 ? 0 : Math.floor(config.epochs / everyEpochs);
  // One more while it is written.
  const kept = last === 0 ? written : Math.min(written, last + besides + spaced) + 1;
  const checkpoints = Number.isFinite(kept) ? kept : config.epochs;
  return { checkpointBytes, checkpoints, bytes: checkpoints * checkpointBytes };
}

/** Free bytes where the run folder would be; it is made, and removed again. */
async function freeFor({ name, run }: Config, out: string | undefined): Promise<number> {
  const folder = await RunFolder.claim(name, { out, confidential: run.private });
  try {
    return freeBytes(folder.path);
  } finally {
    folder.abandon();
  }
}
