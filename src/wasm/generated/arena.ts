// Written by scripts/build-kernels.js from src/wasm/assembly/arena: change that, then npm run build.
declare namespace __AdaptedExports {
  /**
   * src/wasm/assembly/arena/reduce/addFloat32
   * @param target `usize`
   * @param source `usize`
   * @param bytes `usize`
   */
  export function addFloat32(target: number, source: number, bytes: number): void;
  /**
   * src/wasm/assembly/arena/reduce/addFloat64
   * @param target `usize`
   * @param source `usize`
   * @param bytes `usize`
   */
  export function addFloat64(target: number, source: number, bytes: number): void;
  /**
   * src/wasm/assembly/arena/reduce/clearFloat32
   * @param values `usize`
   * @param bytes `usize`
   */
  export function clearFloat32(values: number, bytes: number): void;
  /**
   * src/wasm/assembly/arena/reduce/maxFloat32
   * @param target `usize`
   * @param source `usize`
   * @param bytes `usize`
   */
  export function maxFloat32(target: number, source: number, bytes: number): void;
  /**
   * src/wasm/assembly/arena/reduce/maxFloat64
   * @param target `usize`
   * @param source `usize`
   * @param bytes `usize`
   */
  export function maxFloat64(target: number, source: number, bytes: number): void;
  /**
   * src/wasm/assembly/arena/reduce/scaleFloat32
   * @param values `usize`
   * @param bytes `usize`
   * @param factor `f32`
   */
  export function scaleFloat32(values: number, bytes: number, factor: number): void;
  /**
   * src/wasm/assembly/arena/bfloat16/packBfloat16
   * @param target `usize`
   * @param values `usize`
   * @param residual `usize`
   * @param bytes `usize`
   */
  export function packBfloat16(target: number, values: number, residual: number, bytes: number): void;
  /**
   * src/wasm/assembly/arena/bfloat16/unpackAddBfloat16
   * @param values `usize`
   * @param source `usize`
   * @param bytes `usize`
   */
  export function unpackAddBfloat16(values: number, source: number, bytes: number): void;
  /**
   * src/wasm/assembly/arena/bfloat16/unpackBfloat16
   * @param values `usize`
   * @param source `usize`
   * @param bytes `usize`
   */
  export function unpackBfloat16(values: number, source: number, bytes: number): void;
  /**
   * src/wasm/assembly/arena/optimisers/average
   * @param averages `usize`
   * @param weights `usize`
   * @param bytes `usize`
   * @param share `f32`
   */
  export function average(averages: number, weights: number, bytes: number, share: number): void;
  /**
   * src/wasm/assembly/arena/optimisers/sgd
   * @param weights `usize`
   * @param gradients `usize`
   * @param velocity `usize`
   * @param bytes `usize`
   * @param rate `f32`
   * @param momentum `f32`
   * @param decay `f32`
   * @param scale `f32`
   * @param nesterov `bool`
   */
  export function sgd(weights: number, gradients: number, velocity: number, bytes: number, rate: number, momentum: number, decay: number, scale: number, nesterov: boolean): void;
  /**
   * src/wasm/assembly/arena/optimisers/adamW
   * @param weights `usize`
   * @param gradients `usize`
   * @param mean `usize`
   * @param square `usize`
   * @param bytes `usize`
   * @param stepSize `f32`
   * @param denominatorScale `f32`
   * @param beta1 `f32`
   * @param beta2 `f32`
   * @param complement1 `f32`
   * @param complement2 `f32`
   * @param epsilon `f32`
   * @param shrink `f32`
   * @param scale `f32`
   */
  export function adamW(weights: number, gradients: number, mean: number, square: number, bytes: number, stepSize: number, denominatorScale: number, beta1: number, beta2: number, complement1: number, complement2: number, epsilon: number, shrink: number, scale: number): void;
  /**
   * src/wasm/assembly/arena/inspect/squaredNorm
   * @param values `usize`
   * @param bytes `usize`
   * @returns `f64`
   */
  export function squaredNorm(values: number, bytes: number): number;
  /**
   * src/wasm/assembly/arena/inspect/firstNonFinite
   * @param values `usize`
   * @param bytes `usize`
   * @returns `i32`
   */
  export function firstNonFinite(values: number, bytes: number): number;
}
/** Instantiates the compiled WebAssembly module with the given imports. */
export declare function instantiate(module: WebAssembly.Module, imports: {
}): Promise<typeof __AdaptedExports>;
