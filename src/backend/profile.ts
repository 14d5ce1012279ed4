import * as tf from '../tf/index.js';

/** Time in one kind of kernel, kernels that it calls itself left out. */
export interface KernelTime {
  kernel: string;
  milliseconds: number;
  calls: number;
}

let counting: ((time: KernelTime) => void) | undefined;

/** Takes the time of operations that run without TensorFlow.js, while a profile is made; undefined while none is. */
export function profileInProgress(): typeof counting {
  return counting;
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
  const count = ({ kernel, milliseconds, calls }: KernelTime) => {
    const time = times.get(kernel) ?? { kernel, milliseconds: 0, calls: 0 };
    time.milliseconds += milliseconds;
    time.calls += calls;
    times.set(kernel, time);
  };
  counting = count;
  engine.runKernel = function (kernel: string, ...rest: never[]) {
    nested.push(0);
    const started = performance.now();
    try {
      return (original as (...args: unknown[]) => never).call(engine, kernel, ...rest);
    } finally {
      const elapsed = performance.now() - started;
      const own = elapsed - (nested.pop() as number);
      if (nested.length > 0) nested[nested.length - 1] += elapsed;
      count({ kernel, milliseconds: own, calls: 1 });
    }
  };
  return {
    reset: () => times.clear(),
    stop() {
      engine.runKernel = original;
      counting = undefined;
      return [...times.values()].sort((a, b) => b.milliseconds - a.milliseconds);
    },
  };
}
