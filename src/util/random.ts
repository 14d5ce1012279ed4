import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/**
 * Seeded random streams.
 *
 * A stream is named by a seed and a path of integers, such as (seed, epoch, image index). Equal names give equal
 * numbers on every rank and machine, different names independent ones, so that no choice depends on who makes it.
 * The name is folded by MurmurHash3's finaliser into the 32-bit seed of a xoroshiro128+ generator.
 */
export interface RandomStream {
  /** A 32-bit integer, signed. */
  bits(): number;
  /** An integer in [0, limit). */
  below(limit: number): number;
  /** A number in [0, 1). */
  uniform(): number;
  /** A standard normal number (Box-Muller, both values used). */
  normal(): number;
}

function finalise(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function fold(name: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const part of name) {
    hash = finalise(hash ^ (part >>> 0)) + 0x9e3779b9;
    hash = finalise(hash ^ Math.floor(part / 2 ** 32));
  }
  return hash | 0;
}

/** The stream named by `seed` and `path`, all non-negative integers below 2^53. */
export function randomStream(seed: number, ...path: number[]): RandomStream {
  const generator = xoroshiro128plus(fold([seed, ...path]));
  let spare: number | undefined;
  return {
    bits: () => generator.next(),
    below: (limit) => uniformInt(generator, 0, limit - 1),
    uniform: () => uniformFloat64(generator),
    normal() {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      const radius = Math.sqrt(-2 * Math.log(1 - uniformFloat64(generator)));
      const angle = 2 * Math.PI * uniformFloat64(generator);
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
  };
}

/** A permutation of 0..count-1 (Fisher-Yates). */
export function permutation(count: number, random: RandomStream): Int32Array {
  const order = Int32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = random.below(last + 1);
    const value = order[last];
    order[last] = order[other];
    order[other] = value;
  }
  return order;
}
