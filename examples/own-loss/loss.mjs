import { meanOverImages, registerLoss, tf, z } from 'pod-dist';

// The mean over the images of all ranks of weight |z - W_y|^2 / 2.
registerLoss({
  name: 'squared-distance',
  schema: z.strictObject({ name: z.literal('squared-distance'), weight: z.number().positive().default(1) }),
  graphs: true,
  create: ({ weight }, { communicator, targets }) =>
    meanOverImages(communicator, (features, labels) => {
      const difference = tf.sub(features, targets.own(labels));
      return {
        sum: tf.mul(tf.sum(tf.square(difference)), weight / 2),
        gradients: () => [tf.mul(difference, weight)],
      };
    }),
});
