// Written by scripts/build-kernels.js from src/wasm/assembly/training: change that, then npm run build.
declare namespace __AdaptedExports {
  /**
   * src/wasm/assembly/training/border/cut
   * @param large `usize`
   * @param image `usize`
   * @param height `i32`
   * @param width `i32`
   * @param row `usize`
   * @param pixel `usize`
   * @param largeWidth `i32`
   * @param top `i32`
   * @param left `i32`
   */
  export function cut(large: number, image: number, height: number, width: number, row: number, pixel: number, largeWidth: number, top: number, left: number): void;
  /**
   * src/wasm/assembly/training/border/enlarge
   * @param image `usize`
   * @param large `usize`
   * @param height `i32`
   * @param width `i32`
   * @param row `usize`
   * @param pixel `usize`
   * @param largeWidth `i32`
   * @param top `i32`
   * @param left `i32`
   */
  export function enlarge(image: number, large: number, height: number, width: number, row: number, pixel: number, largeWidth: number, top: number, left: number): void;
  /**
   * src/wasm/assembly/training/border/widen
   * @param rows `usize`
   * @param wide `usize`
   * @param count `i32`
   * @param width `usize`
   * @param wideWidth `usize`
   */
  export function widen(rows: number, wide: number, count: number, width: number, wideWidth: number): void;
  /**
   * src/wasm/assembly/training/batch-norm/channelSums
   * @param x `usize`
   * @param rows `i32`
   * @param channels `i32`
   * @param sums `usize`
   */
  export function channelSums(x: number, rows: number, channels: number, sums: number): void;
  /**
   * src/wasm/assembly/training/batch-norm/gradientSums
   * @param dy `usize`
   * @param x `usize`
   * @param rows `i32`
   * @param channels `i32`
   * @param mean `usize`
   * @param sums `usize`
   */
  export function gradientSums(dy: number, x: number, rows: number, channels: number, mean: number, sums: number): void;
  /**
   * src/wasm/assembly/training/batch-norm/line
   * @param x `usize`
   * @param y `usize`
   * @param rows `i32`
   * @param channels `i32`
   * @param scale `usize`
   * @param offset `usize`
   */
  export function line(x: number, y: number, rows: number, channels: number, scale: number, offset: number): void;
  /**
   * src/wasm/assembly/training/batch-norm/plane
   * @param dy `usize`
   * @param x `usize`
   * @param z `usize`
   * @param rows `i32`
   * @param channels `i32`
   * @param a `usize`
   * @param b `usize`
   * @param c `usize`
   */
  export function plane(dy: number, x: number, z: number, rows: number, channels: number, a: number, b: number, c: number): void;
  /**
   * src/wasm/assembly/training/batch-norm/sumRows
   * @param x `usize`
   * @param rows `i32`
   * @param channels `i32`
   * @param result `usize`
   * @param sums `usize`
   */
  export function sumRows(x: number, rows: number, channels: number, result: number, sums: number): void;
  /**
   * src/wasm/assembly/training/convolution-filter/addFilterGradient
   * @param x `usize`
   * @param dy `usize`
   * @param dw `usize`
   * @param kernelHeight `i32`
   * @param segments `i32`
   * @param segmentStep `usize`
   * @param r4 `i32`
   * @param o8 `i32`
   * @param outHeight `i32`
   * @param outWidth `i32`
   * @param xRow `usize`
   * @param xRowStep `usize`
   * @param xStep `usize`
   * @param group `i32`
   */
  export function addFilterGradient(x: number, dy: number, dw: number, kernelHeight: number, segments: number, segmentStep: number, r4: number, o8: number, outHeight: number, outWidth: number, xRow: number, xRowStep: number, xStep: number, group: number): void;
  /**
   * src/wasm/assembly/training/convolution-input/addInputGradient
   * @param dx `usize`
   * @param dy `usize`
   * @param packed `usize`
   * @param kernelHeight `i32`
   * @param segments `i32`
   * @param segmentStep `usize`
   * @param panels `i32`
   * @param outChannels `i32`
   * @param outHeight `i32`
   * @param outWidth `i32`
   * @param xRow `usize`
   * @param xRowStep `usize`
   * @param xStep `usize`
   * @param group `i32`
   */
  export function addInputGradient(dx: number, dy: number, packed: number, kernelHeight: number, segments: number, segmentStep: number, panels: number, outChannels: number, outHeight: number, outWidth: number, xRow: number, xRowStep: number, xStep: number, group: number): void;
  /**
   * src/wasm/assembly/training/convolution-input/packFilter
   * @param filter `usize`
   * @param packed `usize`
   * @param kernelSegments `i32`
   * @param width `i32`
   * @param panels `i32`
   * @param outChannels `i32`
   */
  export function packFilter(filter: number, packed: number, kernelSegments: number, width: number, panels: number, outChannels: number): void;
  /**
   * src/wasm/assembly/training/depthwise/addDepthwiseGradient
   * @param gradient `i32`
   * @param dy `usize`
   * @param other `usize`
   * @param target `usize`
   * @param height `i32`
   * @param width `i32`
   * @param channels `i32`
   * @param multiplier `i32`
   * @param outHeight `i32`
   * @param outWidth `i32`
   * @param kernelHeight `i32`
   * @param kernelWidth `i32`
   * @param strideHeight `i32`
   * @param strideWidth `i32`
   * @param dilationHeight `i32`
   * @param dilationWidth `i32`
   * @param top `i32`
   * @param left `i32`
   */
  export function addDepthwiseGradient(gradient: number, dy: number, other: number, target: number, height: number, width: number, channels: number, multiplier: number, outHeight: number, outWidth: number, kernelHeight: number, kernelWidth: number, strideHeight: number, strideWidth: number, dilationHeight: number, dilationWidth: number, top: number, left: number): void;
  /**
   * src/wasm/assembly/training/elementwise/reluGradient
   * @param dy `usize`
   * @param y `usize`
   * @param dx `usize`
   * @param bytes `usize`
   */
  export function reluGradient(dy: number, y: number, dx: number, bytes: number): void;
  /**
   * src/wasm/assembly/training/elementwise/segmentSum
   * @param x `usize`
   * @param ids `usize`
   * @param sums `usize`
   * @param rows `i32`
   * @param width `i32`
   * @param segments `i32`
   */
  export function segmentSum(x: number, ids: number, sums: number, rows: number, width: number, segments: number): void;
  /**
   * src/wasm/assembly/training/pooling/addMaxPoolGradient
   * @param x `usize`
   * @param dy `usize`
   * @param dx `usize`
   * @param height `i32`
   * @param width `i32`
   * @param channels `i32`
   * @param outHeight `i32`
   * @param outWidth `i32`
   * @param windowHeight `i32`
   * @param windowWidth `i32`
   * @param strideHeight `i32`
   * @param strideWidth `i32`
   * @param dilationHeight `i32`
   * @param dilationWidth `i32`
   * @param top `i32`
   * @param left `i32`
   */
  export function addMaxPoolGradient(x: number, dy: number, dx: number, height: number, width: number, channels: number, outHeight: number, outWidth: number, windowHeight: number, windowWidth: number, strideHeight: number, strideWidth: number, dilationHeight: number, dilationWidth: number, top: number, left: number): void;
}
/** Instantiates the compiled WebAssembly module with the given imports. */
export declare function instantiate(module: WebAssembly.Module, imports: {
}): Promise<typeof __AdaptedExports>;
