import { smallest } from '../util/extremes.js';
import { simulateAllReduce, type Network, type SimulatedAlgorithm } from './simulation.js';

/** A measured all-reduce. */
export interface NetworkSample {
  hosts: number;
  algorithm: SimulatedAlgorithm;
  bytes: number;
  medianMs: number;
}

const first = { messageMs: 0.03, handlingMs: 2e-7, moreHopMs: 0.05 };
const finest = 1.02;

/**
 * What messages cost the processors, and what a hop takes beyond the link's own delay: the values with which the
 * simulation is nearest to measured all-reduces, by the squares of the logarithms of the ratios. They are changed one by
 * one, by smaller and smaller factors.
 */
export function fitNetwork(
  link: Omit<Network, 'messageMs' | 'handlingMs'>,
  samples: readonly NetworkSample[],
): Network {
  const networkOf = ({ messageMs, handlingMs, moreHopMs }: typeof first): Network => {
    return { ...link, messageMs, handlingMs, hopMs: link.hopMs + moreHopMs };
  };
  const errorOf = (values: typeof first) => {
    const network = networkOf(values);
    return samples.reduce((sum, { hosts, algorithm, bytes, medianMs }) => {
      return sum + Math.log(simulateAllReduce(network, hosts, { bytes, algorithm }) / medianMs) ** 2;
    }, 0);
  };
  let best = first;
  let error = errorOf(best);
  for (let factor = 2; factor > finest;) {
    const changed = Object.keys(first).flatMap((name) =>
      [factor, 1 / factor].map((by) => ({ ...best, [name]: best[name as keyof typeof first] * by })),
    );
    const errors = changed.map(errorOf);
    const nearest = errors.indexOf(smallest(errors));
    if (errors[nearest] < error) [best, error] = [changed[nearest], errors[nearest]];
    else factor = Math.sqrt(factor);
  }
  return networkOf(best);
}
