import type { Context } from '../context.js';
import { scratchBytes } from '../reduce.js';
import { giveBack } from '../../transport/buffers.js';
import type { Steps } from '../steps.js';
import type { Algorithm } from './algorithm.js';
import { allReducePass, costOfPass, pass, reduceScatterPass, type Pass, type Transfer } from './ring.js';

/**
 * The ring with bfloat16 on the wire: half the bytes.
 *
 * A rank adds what it receives in float32 and rounds the sum for the next rank. What rounding takes away it keeps, and
 * adds to the values of the same part the next time (error feedback): each rank rounds each part once a pass, so one
 * residual a value is enough, and over time nothing is lost. The rank that completes a part takes its rounded value
 * itself when it goes to all: results are bitwise equal. A reduce-scatter leaves its shard unrounded.
 *
 * Buffers: what travels lies in an image of the values, with the same dependencies as the values of the plain ring.
 */
function compressed(context: Context, plan: Pass): Steps {
  const { bytes, kernels, image, scratch } = context.workspace;
  const { pack, unpack, unpackAdd } = kernels.bfloat16;
  const { offset: origin, length, residual } = context.command;
  const imageStart = image.offsetFor(length);
  const imageOf = (at: number) => imageStart + (at - origin) / 2;
  const imageView = (start: number, end: number) => context.view(imageOf(start), imageOf(end));
  const round = (start: number, end: number) => {
    pack(imageOf(start), start, residual + (start - origin), end - start);
    return imageView(start, end);
  };
  const transfer: Transfer = {
    outgoing: round,
    combine: (start, end, payload, last) => {
      for (let done = 0; done < payload.length; done += scratchBytes) {
        const size = Math.min(scratchBytes, payload.length - done);
        bytes.set(payload.subarray(done, done + size), scratch);
        unpackAdd(start + done * 2, scratch, size * 2);
      }
      giveBack(payload);
      if (last && plan.copying === 0) return imageView(start, start);
      const onward = round(start, end);
      if (last) unpack(start, imageOf(start), end - start);
      return onward;
    },
    take: (start, end, payload) => {
      context.copy(imageOf(start), payload);
      unpack(start, imageOf(start), end - start);
      return imageView(start, end);
    },
    bytes: (start, end) => (end - start) / 2,
  };
  return pass(context, plan, transfer);
}

export const compressedRing: Algorithm = {
  name: 'compressed-ring',
  collectives: {
    allReduce: (context) => compressed(context, allReducePass(context)),
    reduceScatter: (context) => compressed(context, reduceScatterPass(context)),
  },
  summation: 'own',
  wire: 'bf16',
  cost: (collective, { bytes, worldSize }) => costOfPass(collective, { bytes: bytes / 2, worldSize }),
};
