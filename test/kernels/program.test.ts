import { beforeAll, describe, expect, it } from 'vitest';
import { loadOptimisers, type OptimiserKernels } from '../../src/kernels/optimisers.js';
import { KernelProgram, runProgram, type ValueKernels } from '../../src/kernels/program.js';
import { randomStream } from '../../src/util/random.js';
import { loadProgram } from '../../src/wasm/load.js';

const length = 37;
const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });

let kernels: OptimiserKernels;
let run: (offset: number) => void;
beforeAll(() => {
  kernels = loadOptimisers(memory);
  const arena = loadProgram('arena', memory);
  run = (offset) => runProgram(memory, offset, arena);
});

function fill(values: Float32Array, seed: number): Float32Array {
  const random = randomStream(7, seed);
  for (let at = 0; at < values.length; at++) values[at] = Math.abs(random.normal());
  return values;
}

function arrays(first: number): Float32Array[] {
  return [0, 1, 2, 3].map((index) =>
    fill(new Float32Array(memory.buffer, 65_536 + 1024 * (first + index), length), index),
  );
}

const program = () => new KernelProgram(new Float32Array(memory.buffer, 131_072, KernelProgram.sizeOf(8)));

function work(by: ValueKernels, [weights, gradients, one, other]: Float32Array[]): void {
  by.add(gradients, one);
  by.clear(one.subarray(3, 20));
  by.sgd(weights, gradients, one, {
    rate: 0.1,
    momentum: 0.9,
    nesterov: true,
    weightDecay: 0.01,
    scale: 0.5,
  });
  const adam = { rate: 0.01, betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0.1, step: 3 } as const;
  by.adamW(weights, gradients, one, other, adam);
  by.average(other, weights, 0.3);
}

describe('KernelProgram', () => {
  it('gives the bits of the kernels when it runs, also after a second begin', () => {
    const [direct, later] = [arrays(0), arrays(10)];
    const written = program();
    for (let round = 0; round < 2; round++) {
      work(kernels, direct);
      const before = later.map((values) => values.slice());
      written.begin();
      work(written, later);
      expect(later).toEqual(before);
      run(written.offset);
      expect(later).toEqual(direct);
      expect(later).not.toEqual(before);
    }
  });

  it.each([NaN, Infinity, -Infinity])('stops at requireFinite if a value is %s', (value) => {
    const [values, target] = arrays(0);
    const written = program();
    written.begin();
    written.requireFinite(values);
    written.clear(target);
    run(written.offset);
    expect(target.every((number) => number === 0)).toBe(true);
    target.fill(1);
    values[length - 1] = value;
    expect(() => run(written.offset)).toThrow(expect.objectContaining({ code: 'NOT_FINITE' }) as Error);
    expect(target.every((number) => number === 1)).toBe(true);
  });
});
