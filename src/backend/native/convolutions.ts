import type * as tf from '../../tf/index.js';
import { replaceWhere } from '../kernels.js';
import { Attributes, backendName, type NodeBackend } from './node-backend.js';

interface Geometry {
  strides: number | [number, number];
  pad: unknown;
  dataFormat: unknown;
  dilations?: number | [number, number];
}

/**
 * Puts the plain convolution and its gradients straight to TensorFlow: the npm package computes the geometry anew,
 * builds the attributes and makes a tensor of the sizes at every call, which takes as long as a small layer does.
 * Whatever is not NHWC, `same` or `valid`, and without dilation is left to the package.
 */
export function registerConvolutions(backend: NodeBackend): void {
  const attributes = new Attributes(backend.binding);
  const operations = new Map<string, ReturnType<typeof describe>>();
  const sizes = new Map<string, tf.TensorInfo>();

  const describe = (down: number, across: number, pad: string) => [
    attributes.float32(),
    attributes.integers('strides', [1, down, across, 1]),
    attributes.text('padding', pad.toUpperCase()),
  ];

  /** Attributes of a plain convolution, made once; undefined for every other. */
  const plain = ({ strides, pad, dataFormat, dilations = 1 }: Geometry) => {
    if (dataFormat !== 'NHWC' || (pad !== 'same' && pad !== 'valid')) return undefined;
    const [rows, columns] = pair(dilations);
    if (rows !== 1 || columns !== 1) return undefined;
    const [down, across] = pair(strides);
    return remember(operations, `${down} ${across} ${pad}`, () => describe(down, across, pad));
  };

  /** A shape as the tensor that the gradients' operations want; it is no tensor that anybody has to dispose of. */
  const sizesOf = (shape: number[]): tf.TensorInfo =>
    remember<tf.TensorInfo>(sizes, shape.join(' '), () => {
      const dataId = backend.write(Int32Array.from(shape), [shape.length], 'int32');
      return { dataId, shape: [shape.length], dtype: 'int32' };
    });

  replaceWhere(backendName, 'FusedConv2D', (inputs, attrs) => {
    const geometry = plain(attrs as unknown as Geometry);
    const { activation } = attrs as { activation?: string };
    if (!geometry || inputs.bias || inputs.preluActivationWeights) return undefined;
    if (activation !== 'linear' && activation !== 'relu') return undefined;
    const y = backend.executeSingleOutput('Conv2D', geometry, [inputs.x, inputs.filter]);
    if (activation === 'linear') return y;
    const rectified = backend.executeSingleOutput('Relu', geometry.slice(0, 1), [y]);
    y.dispose();
    return rectified;
  });

  replaceWhere(backendName, 'Conv2DBackpropInput', ({ dy, filter }, attrs) => {
    const geometry = plain(attrs as unknown as Geometry);
    const size = sizesOf((attrs as { inputShape: number[] }).inputShape);
    return geometry && backend.executeSingleOutput('Conv2DBackpropInput', geometry, [size, filter, dy]);
  });

  replaceWhere(backendName, 'Conv2DBackpropFilter', ({ x, dy }, attrs) => {
    const geometry = plain(attrs as unknown as Geometry);
    const size = sizesOf((attrs as { filterShape: number[] }).filterShape);
    return geometry && backend.executeSingleOutput('Conv2DBackpropFilter', geometry, [x, size, dy]);
  });
}

function remember<T>(known: Map<string, T>, key: string, make: () => T): T {
  let value = known.get(key);
  if (value === undefined) known.set(key, (value = make()));
  return value;
}

function pair(value: number | [number, number]): [number, number] {
  return typeof value === 'number' ? [value, value] : value;
}
