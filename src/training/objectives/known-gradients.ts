import * as tf from '../../tf/index.js';

/** A loss and its gradient with respect to each input. */
interface Differentiated {
  loss: number;
  gradients: tf.Tensor[];
}

/** A scalar to differentiate whose gradients `compute` gives together with its value, in the forward pass. */
export function withKnownGradients(inputs: readonly tf.Tensor[], compute: () => Differentiated): tf.Scalar {
  const operation = tf.customGrad((...given: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const save = given[given.length - 1] as tf.GradSaveFunc;
    const { loss, gradients } = compute();
    save(gradients);
    const gradFunc = (_dy: tf.Scalar, saved: tf.Tensor[]) => saved.map((gradient) => tf.clone(gradient));
    return { value: tf.scalar(loss), gradFunc };
  });
  return operation(...inputs);
}
