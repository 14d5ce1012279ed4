import type { Communicator } from '../collective/communicator.js';
import { LocalCommunicator } from '../collective/local-communicator.js';
import { configSchema, type Config, type ModelConfig } from '../config/schema.js';
import { randomStream } from '../util/random.js';
import { noTracer, type Tracer } from '../trace/tracer.js';
import { Classifier } from '../classifier/classifier.js';
import { TrainingStep } from '../training/step.js';
import { phaseSpans, type StepPhase } from '../trace/step-spans.js';
import { median } from '../util/median.js';

export interface MeasureOptions {
  model: ModelConfig;
  /** Images of one rank. */
  batch: number;
  /** [height, width, channels]; default 32x32x3. */
  shape?: readonly [number, number, number];
  classes?: number;
  /** Steps that are not counted; default 3. */
  warmup?: number;
  /** Steps that are counted, at most; default 20. */
  steps?: number;
  /** One worker begins no further step past this many milliseconds of counted steps; default 20,000. */
  budgetMs?: number;
  /** Communicator of the ranks that make the steps together, each with its own batch; default: one worker. */
  communicator?: Communicator;
  /** Bytes of gradients in one bucket; default: the recipe's. */
  bucketBytes?: number;
  /** Whether gradients travel while the ranks compute; default: the recipe's. */
  overlap?: Config['distributed']['overlap'];
  /** Whether steps run as graphs where the backend can; default: the recipe's. */
  capture?: Config['capture'];
  /** Default: the recipe's. */
  precision?: Config['precision'];
  /** Images that batch norm's statistics are taken over; default: the recipe's choice. */
  statistics?: Config['batchNorm']['statistics'];
  /** Records every step and its parts, those of the warm-up as well; default: no tracing. */
  tracer?: Tracer;
  /** Called after the warm-up. */
  onWarm?(): void;
}

/** Medians over the counted steps, in milliseconds unless said otherwise. */
export interface StepMeasurement {
  batch: number;
  steps: number;
  /** Images a second, of all ranks. */
  imagesPerSecond: number;
  medianMs: number;
  /** From the images to the loss; absent where both passes are one graph. */
  forwardMs?: number;
  /** From the loss to the gradients of the parameters; absent where both passes are one graph. */
  backwardMs?: number;
  /** From the images to the gradients, where both passes are one graph. */
  passesMs?: number;
  /** Optimiser, and the weights back into the variables; several ranks do most of both in the passes. */
  updateMs: number;
  /** Time inside collectives; 0 with one worker. */
  waitMs: number;
  /** Processor time of all threads, which other programs on the machine disturb less. */
  cpuMs: number;
  parameters: number;
  /** Loss of the last step: shows whether the computation went wrong. */
  loss: number;
}

/**
 * Measures training steps on the backend that runs: the classifier, loss, step and optimiser of a real run, on random
 * images and labels.
 */
export async function measureStep(options: MeasureOptions): Promise<StepMeasurement> {
  const { batch, shape = [32, 32, 3], classes = 10, tracer = noTracer } = options;
  const { warmup = 3, steps = 20, budgetMs = 20_000, onWarm = () => {} } = options;
  const { communicator = new LocalCommunicator() } = options;
  const { rank, worldSize } = communicator;
  const config = stepConfig(options, worldSize);
  const counts = Array.from({ length: worldSize }, () => batch);
  const classifier = await Classifier.create({ config, shape, classes, communicator });
  const step = await TrainingStep.create(classifier, communicator, config, { tracer });
  const data = randomBatch(batch, shape, classes, rank);
  const phases: Record<StepPhase, number[]> = { forward: [], backward: [], passes: [], update: [] };
  const totals: number[] = [];
  const waits: number[] = [];
  const processor: number[] = [];
  let loss = NaN;
  const run = async () => {
    const waited = communicator.waitedMs;
    const before = process.cpuUsage();
    const started = performance.now();
    const began = tracer.now();
    const traced = phaseSpans(tracer);
    let last = started;
    const onPhase = (phase: StepPhase) => {
      traced(phase);
      const now = performance.now();
      phases[phase].push(now - last);
      last = now;
    };
    ({ loss } = await step.run({ batch: data, counts, rate: 0.01, onPhase }));
    tracer.span('compute', 'step', began, { step: totals.length });
    totals.push(performance.now() - started);
    waits.push(communicator.waitedMs - waited);
    const { user, system } = process.cpuUsage(before);
    processor.push((user + system) / 1000);
  };

  try {
    for (let index = 0; index < warmup; index++) await run();
    for (const list of [totals, waits, processor, ...Object.values(phases)]) list.length = 0;
    onWarm();
    const started = performance.now();
    do await run();
    while (totals.length < steps && (worldSize > 1 || performance.now() - started < budgetMs));
    await step.complete();
  } finally {
    step.dispose();
  }
  const medianMs = median(totals);
  return {
    batch,
    steps: totals.length,
    imagesPerSecond: (1000 * batch * worldSize) / medianMs,
    medianMs,
    ...(phases.passes.length > 0
      ? { passesMs: median(phases.passes) }
      : { forwardMs: median(phases.forward), backwardMs: median(phases.backward) }),
    updateMs: median(phases.update),
    waitMs: median(waits),
    cpuMs: median(processor),
    parameters: classifier.parameters.length,
    loss,
  };
}

function stepConfig(
  { model, batch, bucketBytes, overlap, capture, precision, statistics }: MeasureOptions,
  worldSize: number,
): Config {
  return configSchema.parse({
    batchSize: batch * worldSize,
    distributed: { bucketBytes, overlap },
    capture,
    precision,
    batchNorm: { statistics },
    data: { name: 'digits' },
    model,
    optimizer: { momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
    learningRate: { schedule: 'constant', rate: 0.01 },
  });
}

function randomBatch(count: number, shape: readonly [number, number, number], classes: number, rank: number) {
  const random = randomStream(1, count, rank);
  const images = new Float32Array(count * shape[0] * shape[1] * shape[2]);
  for (let index = 0; index < images.length; index++) images[index] = random.bits() / 2 ** 30;
  const labels = Int32Array.from({ length: count }, (_, index) => index % classes);
  return { images, labels, count };
}
