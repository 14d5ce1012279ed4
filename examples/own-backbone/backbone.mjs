export default ({ tf, shape, dim, seed }) =>
  tf.sequential({
    layers: [
      tf.layers.conv2d({
        inputShape: shape,
        filters: 16,
        kernelSize: 3,
        activation: 'relu',
        kernelInitializer: tf.initializers.heNormal({ seed }),
      }),
      tf.layers.globalAveragePooling2d({}),
      tf.layers.dense({ units: dim, kernelInitializer: tf.initializers.heNormal({ seed: seed + 1 }) }),
    ],
  });
