import { algorithms } from '../collective/algorithms/index.js';
import { cheapest, type LinkCosts } from '../collective/selection.js';
import { layerSizes } from './layer-sizes.js';
import { bitsPerSecond } from './link.js';
import { simulated, simulateSteps, type Network, type SimulatedAlgorithm } from './simulation.js';

export interface PredictionOptions {
  /** Numbers of hosts, one rank on each: powers of two. */
  hosts: readonly number[];
  /** Rates of a host's link, such as `10gbit`. */
  rates: readonly string[];
  /** Milliseconds of a hop. */
  hopsMs: readonly number[];
  /** What a message costs a rank's processor, each with a processor of its own. */
  processor: Pick<Network, 'messageMs' | 'handlingMs'>;
  model: keyof typeof layerSizes;
  computeMs: number;
  bucketBytes: number;
  seed: number;
}

/** A step of data-parallel training, predicted by simulation. */
export interface PredictedRow {
  hosts: number;
  rate: string;
  hopMs: number;
  /** What differs from the first row of the same network. */
  variant: string;
  stepMs: number;
  /** Speed over hosts times the speed of one. */
  efficiency: number;
}

interface Variant {
  name: string;
  algorithm: SimulatedAlgorithm | 'auto';
  inFlight: number;
  bucketBytes?: number;
  /** Mean share that stragglers compute longer. */
  jitter?: number;
}

const variants: readonly Variant[] = [
  { name: 'as pod-dist goes', algorithm: 'auto', inFlight: 3 },
  { name: 'one bucket at a time', algorithm: 'auto', inFlight: 1 },
  { name: 'ring', algorithm: 'ring', inFlight: 3 },
  { name: 'ring, one bucket at a time', algorithm: 'ring', inFlight: 1 },
  { name: 'no overlap', algorithm: 'auto', inFlight: 0 },
  { name: 'buckets four times as large', algorithm: 'auto', inFlight: 3, bucketBytes: 4 },
  { name: 'stragglers of 2 %', algorithm: 'auto', inFlight: 3, jitter: 0.02 },
  { name: 'stragglers of 10 %', algorithm: 'auto', inFlight: 3, jitter: 0.1 },
];
const steps = 5;

/** Predicts steps over hosts that no test machine has, by what pod-dist does and by what each of its ways is worth. */
export function predictScaling(options: PredictionOptions, each: (row: PredictedRow) => void): void {
  const { hosts, rates, hopsMs, processor, model, computeMs, seed } = options;
  for (const count of hosts)
    for (const rate of rates)
      for (const hopMs of hopsMs)
        for (const { name, algorithm, inFlight, bucketBytes: times = 1, jitter } of variants) {
          const network = { ...processor, hopMs, byteMs: 8000 / bitsPerSecond(rate) };
          const link = {
            hopBytes: hopMs / network.byteMs,
            messageBytes: (2 * processor.messageMs) / network.byteMs,
          };
          const stepMs = simulateSteps(network, count, {
            layers: layerSizes[model],
            ...{ computeMs, inFlight, jitter, seed },
            bucketBytes: options.bucketBytes * times,
            steps: jitter === undefined ? 1 : steps,
            algorithmFor: (bytes) => (algorithm === 'auto' ? chosen(count, bytes, link) : algorithm),
          });
          each({ hosts: count, rate, hopMs, variant: name, stepMs, efficiency: computeMs / stepMs });
        }
}

const candidates = algorithms.filter(({ name }) => (simulated as readonly string[]).includes(name));

/** The algorithm that pod-dist takes over so many hosts, where `distributed.hopBytes` and `messageBytes` are this link's. */
function chosen(worldSize: number, bytes: number, link: LinkCosts): SimulatedAlgorithm {
  const fitting = candidates.filter(({ name }) => name !== 'one-shot' || bytes <= 2 ** 20);
  return cheapest(fitting, 'allReduce', { bytes, worldSize }, link).name as SimulatedAlgorithm;
}
