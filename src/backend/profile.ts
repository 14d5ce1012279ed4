import * as tf from '../tf/index.js';

/** Time in one kind of kernel, kernels that it calls itself left out. */
export interface KernelTime {
  kernel: string;
  milliseconds: number;
  calls: number;
}

/**
 * Counts the time of every kernel on a backend that computes while it is called (native on a CPU, wasm, cpu), until
 * `stop`, which gives the costliest first.
 */
export function profileKernels(): { reset(): void; stop(): KernelTime[] } {
  const engine = tf.engine();
  const original = engine.runKernel;
  const times = new Map<string, KernelTime>();
  const nested: number[] = [];
  engine.runKernel = function (kernel: string, ...rest: never[]) {
    nested.push(0);
    const started = performance.now();
    try {
      return (original as (...args: unknown[]) => never).call(engine, kernel, ...rest);
    } finally {
      const elapsed = performance.now() - started;
      const own = elapsed - (nested.pop() as number);
      if (nested.length > 0) nested[nested.length - 1] += elapsed;
      const time = times.get(kernel) ?? { kernel, milliseconds: 0, calls: 0 };
      time.milliseconds += own;
      time.calls++;
      times.set(kernel, time);
    }
  };
  return {
    reset: () => times.clear(),
    stop() {
      engine.runKernel = original;
      return [...times.values()].sort((a, b) => b.milliseconds - a.milliseconds);
    },
  };
}
