// Written by scripts/build-kernels.js from src/wasm/assembly/repulsion: change that, then npm run build.
declare namespace __AdaptedExports {
  /**
   * src/wasm/assembly/repulsion/index/weightSum
   * @returns `f64`
   */
  export function weightSum(): number;
  /**
   * src/wasm/assembly/repulsion/index/heapBase
   * @returns `usize`
   */
  export function heapBase(): number;
  /**
   * src/wasm/assembly/repulsion/index/repel
   * @param vectors `usize`
   * @param forces `usize`
   * @param count `i32`
   * @param stride `usize`
   * @param beta `f32`
   * @param reference `f32`
   * @returns `f32`
   */
  export function repel(vectors: number, forces: number, count: number, stride: number, beta: number, reference: number): number;
}
/** Instantiates the compiled WebAssembly module with the given imports. */
export declare function instantiate(module: WebAssembly.Module, imports: {
}): Promise<typeof __AdaptedExports>;
