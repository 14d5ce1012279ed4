import * as tf from '../tf/index.js';
import type { Head } from './head.js';

/** Added to the mean square of a feature vector: too small to matter for any that has a direction. */
const epsilon = 1e-20;

/**
 * One model from images to scores, of layers that every TensorFlow.js has.
 *
 * No such layer divides a vector by its norm, but layer normalisation of (z, -z) does: the mean of its 2d numbers is 0
 * and their variance |z|^2 / d, so it gives sqrt(d) (zhat, -zhat). The first half goes on to the class vectors, which
 * are divided by sqrt(d). Features of norm 0 have cosine 0 to every class.
 */
export function inferenceModel(backbone: tf.LayersModel, head: Head): tf.LayersModel {
  const { weight, bias, classes, dim, scores } = head;
  const features = backbone.outputs[0];
  const made: tf.LayersModel[] = [];
  tf.tidy(() => {
    const layers = scores === 'cosines' ? [...unitLayers(dim), cosines()] : [probabilities()];
    const outputs = layers.reduce((value, layer) => layer.apply(value) as tf.SymbolicTensor, features);
    made.push(tf.model({ inputs: backbone.inputs, outputs, name: backbone.name }));
  });
  return made[0];

  function cosines(): tf.layers.Layer {
    const kernel = tf.tidy(() =>
      tf.div<tf.Tensor2D>(tf.transpose(tf.tensor2d(weight, [classes, dim])), Math.sqrt(dim)),
    );
    return dense({ name: 'cosines', units: classes, useBias: false, weights: [kernel] });
  }

  function probabilities(): tf.layers.Layer {
    const kernel = tf.tidy(() => tf.transpose(tf.tensor2d(weight, [classes, dim])));
    const weights = [kernel, tf.tensor1d(bias as Float32Array)];
    return dense({ name: 'probabilities', units: classes, weights, activation: 'softmax' });
  }
}

/** Features [b, d] to sqrt(d) times their unit vectors. */
function unitLayers(dim: number): tf.layers.Layer[] {
  const mirror = tf.tidy(() => tf.concat2d([tf.eye(dim), tf.neg(tf.eye(dim))], 1));
  return [
    dense({ name: 'features_mirrored', units: 2 * dim, useBias: false, weights: [mirror] }),
    tf.layers.layerNormalization({ name: 'features_normalised', center: false, scale: false, epsilon }),
    tf.layers.reshape({ name: 'features_halves', targetShape: [2, dim, 1] }),
    tf.layers.cropping2D({
      name: 'features_half',
      cropping: [
        [0, 1],
        [0, 0],
      ],
    }),
    tf.layers.flatten({ name: 'features_unit' }),
  ];
}

function dense(settings: Parameters<typeof tf.layers.dense>[0]): tf.layers.Layer {
  return tf.layers.dense({ ...settings, kernelInitializer: 'zeros' });
}
