import type * as tf from '../../tf/index.js';
import { replaceWhere, type Inputs } from '../kernels.js';
import { precisionNow } from '../precision.js';
import { Bfloat16, bfloat16 } from './bfloat16.js';
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
 * Whatever is not NHWC, `same` or `valid`, and without dilation is left to the package, and to float32.
 *
 * In bfloat16 products are added up in float32, as oneDNN does; a bias and a ReLU follow without rounding in between.
 */
export function registerConvolutions(backend: NodeBackend): void {
  const attributes = new Attributes(backend.binding);
  const operations = new Map<string, ReturnType<typeof describe>>();
  const narrow = new Bfloat16(backend);
  const sizes = new Map<string, tf.TensorInfo>();

  const describe = (down: number, across: number, pad: string) => {
    const geometry = [
      attributes.integers('strides', [1, down, across, 1]),
      attributes.text('padding', pad.toUpperCase()),
    ];
    return {
      float32: [attributes.float32(), ...geometry],
      bf16: [attributes.type('T', bfloat16), ...geometry],
    };
  };

  /** Attributes of a plain convolution in either precision, made once; undefined for every other. */
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

  const isNarrow = () => precisionNow() === 'bf16';
  const relu = { linear: [attributes.flag('relu', false)], relu: [attributes.flag('relu', true)] };

  const convolveNarrow = (
    { x, filter, bias }: Inputs,
    geometry: ReturnType<typeof describe>,
    activation: keyof typeof relu,
  ) =>
    narrow.run((operations) => {
      let [y] = operations.execute('Conv2D', geometry.bf16, [
        operations.narrow(x),
        operations.narrow(filter),
      ]);
      if (bias) [y] = operations.execute('PodDistAddBias', relu[activation], [y.id, operations.plain(bias)]);
      else if (activation === 'relu') [y] = operations.execute('Relu', geometry.bf16.slice(0, 1), [y.id]);
      return operations.tensor(y);
    });

  replaceWhere(backendName, 'Conv2D', (inputs, attrs) => {
    const geometry = isNarrow() ? plain(attrs as unknown as Geometry) : undefined;
    return geometry && convolveNarrow(inputs, geometry, 'linear');
  });

  replaceWhere(backendName, 'FusedConv2D', (inputs, attrs) => {
    const geometry = plain(attrs as unknown as Geometry);
    const { activation } = attrs as { activation?: string };
    if (!geometry || inputs.preluActivationWeights) return undefined;
    if (activation !== 'linear' && activation !== 'relu') return undefined;
    if (isNarrow()) return convolveNarrow(inputs, geometry, activation);
    if (inputs.bias) return undefined;
    const y = backend.executeSingleOutput('Conv2D', geometry.float32, [inputs.x, inputs.filter]);
    if (activation === 'linear') return y;
    const rectified = backend.executeSingleOutput('Relu', geometry.float32.slice(0, 1), [y]);
    y.dispose();
    return rectified;
  });

  replaceWhere(backendName, 'Conv2DBackpropInput', ({ dy, filter }, attrs) => {
    const geometry = plain(attrs as unknown as Geometry);
    if (!geometry) return undefined;
    const size = sizesOf((attrs as { inputShape: number[] }).inputShape);
    const name = 'Conv2DBackpropInput';
    if (!isNarrow()) return backend.executeSingleOutput(name, geometry.float32, [size, filter, dy]);
    return narrow.run((operations) => {
      const ids = [operations.plain(size), operations.narrow(filter), operations.narrow(dy)];
      return operations.tensor(operations.execute(name, geometry.bf16, ids)[0]);
    });
  });

  replaceWhere(backendName, 'Conv2DBackpropFilter', ({ x, dy }, attrs) => {
    const geometry = plain(attrs as unknown as Geometry);
    if (!geometry) return undefined;
    const size = sizesOf((attrs as { filterShape: number[] }).filterShape);
    const name = 'Conv2DBackpropFilter';
    if (!isNarrow()) return backend.executeSingleOutput(name, geometry.float32, [x, size, dy]);
    return narrow.run((operations) => {
      const ids = [operations.narrow(x), operations.plain(size), operations.narrow(dy)];
      return operations.tensor(operations.execute(name, geometry.bf16, ids)[0]);
    });
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
