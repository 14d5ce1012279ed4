import * as ort from 'onnxruntime-web';
import { channelsFirst, rowsOf } from './trained.js';

ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

/** Scores of ONNX Runtime for images [b, height, width, channels], a row for each image. */
export async function onnxScores(
  model: Uint8Array,
  images: Float32Array,
  shape: readonly [number, number, number, number],
): Promise<number[][]> {
  const session = await ort.InferenceSession.create(model);
  try {
    const [count, height, width, channels] = shape;
    const input = new ort.Tensor('float32', channelsFirst(images, shape), [count, channels, height, width]);
    const [scores] = Object.values(await session.run({ images: input }));
    return rowsOf(scores.data as Float32Array, scores.dims[1]);
  } finally {
    await session.release();
  }
}
