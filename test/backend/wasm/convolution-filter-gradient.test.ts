import * as tf from '../../../src/tf/index.js';
import { describe, expect, it } from 'vitest';
import { initBackend } from '../../../src/backend/index.js';
import { expectLikeCpu, normal } from './compare.js';

interface Case {
  image: [height: number, width: number];
  filter: [height: number, width: number];
  strides: number | [number, number];
  pad: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
  channels?: [input: number, output: number];
  batch?: number;
}

const grid: Case[] = ([1, 2, 3] as const).flatMap((strides) =>
  (['same', 'valid', 1] as const).flatMap((pad) =>
    (
      [
        [3, 3],
        [1, 1],
        [2, 5],
      ] as [number, number][]
    ).flatMap((filter) =>
      (
        [
          [8, 8],
          [7, 10],
        ] as [number, number][]
      ).map((image): Case => ({ image, filter, strides, pad })),
    ),
  ),
);

const special: Case[] = [
  { image: [9, 9], filter: [3, 3], strides: [2, 1], pad: 'same' },
  { image: [9, 9], filter: [3, 3], strides: [1, 3], pad: 'valid' },
  {
    image: [6, 7],
    filter: [3, 3],
    strides: 2,
    pad: [
      [0, 0],
      [2, 0],
      [1, 3],
      [0, 0],
    ],
  },
  { image: [3, 3], filter: [3, 3], strides: 1, pad: 'valid' },
  { image: [1, 1], filter: [1, 1], strides: 1, pad: 'same' },
  { image: [5, 5], filter: [7, 7], strides: 1, pad: 'same' },
  { image: [8, 8], filter: [1, 1], strides: 2, pad: 'valid' },
  { image: [8, 8], filter: [3, 3], strides: 1, pad: 'same', channels: [1, 1] },
  { image: [8, 8], filter: [3, 3], strides: 2, pad: 'same', channels: [16, 32], batch: 5 },
  { image: [8, 8], filter: [1, 1], strides: 1, pad: 'valid', channels: [7, 3], batch: 1 },
];

describe('convolutionFilterGradient', () => {
  it.each([...grid, ...special])('agrees with plain JavaScript: %j', async (one) => {
    const [input, output] = one.channels ?? [3, 4];
    await expectLikeCpu(() => {
      const x = normal<tf.Rank.R4>([one.batch ?? 2, ...one.image, input], 1);
      const filter = normal<tf.Rank.R4>([...one.filter, input, output], 2);
      const convolve = (w: tf.Tensor) => tf.conv2d(x, w as tf.Tensor4D, one.strides, one.pad);
      const { shape } = convolve(filter);
      const dy = normal<tf.Rank.R4>(shape as [number, number, number, number], 3);
      return [tf.grad(convolve)(filter, dy)];
    });
  });

  it('agrees with a difference quotient', async () => {
    await initBackend('wasm');
    tf.tidy(() => {
      const x = normal<tf.Rank.R4>([2, 6, 5, 2], 4);
      const filter = normal<tf.Rank.R4>([3, 3, 2, 2], 5);
      const direction = normal<tf.Rank.R4>([3, 3, 2, 2], 6);
      const loss = (w: tf.Tensor) => tf.sum(tf.square(tf.conv2d(x, w as tf.Tensor4D, 2, 'same')));
      const slope = tf.sum(tf.mul(tf.grad(loss)(filter), direction)).dataSync()[0];
      const at = (step: number) => loss(tf.add(filter, tf.mul(direction, step))).dataSync()[0];
      expect((at(0.01) - at(-0.01)) / 0.02 / slope).toBeCloseTo(1, 2);
    });
  });
});
