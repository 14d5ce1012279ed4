import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadProgram } from '../../src/wasm/load.js';

const memories = {
  arena: () => new WebAssembly.Memory({ initial: 2, maximum: 65_536, shared: true }),
  repulsion: () => new WebAssembly.Memory({ initial: 2, maximum: 65_536 }),
  training: () => new WebAssembly.Memory({ initial: 2 }),
};
const names = Object.keys(memories) as (keyof typeof memories)[];

/** Kernels that a generated file declares, with their numbers of arguments. */
function declared(name: string): Record<string, number> {
  const text = readFileSync(new URL(`../../src/wasm/generated/${name}.ts`, import.meta.url), 'utf8');
  const functions = text.matchAll(/^ {2}export function (\w+)\(([^)]*)\)/gm);
  return Object.fromEntries(
    [...functions].map(([, kernel, parameters]) => [
      kernel,
      parameters === '' ? 0 : parameters.split(',').length,
    ]),
  );
}

describe.each(names)('the program %s', (name) => {
  it('has the declared kernels with the declared numbers of arguments', () => {
    const kernels = Object.entries(loadProgram(name, memories[name]()));
    const compiled = kernels.map(([kernel, call]) => [kernel, (call as () => void).length]);
    expect(compiled.length).toBeGreaterThan(2);
    expect(Object.fromEntries(compiled)).toEqual(declared(name));
  });
});

describe('loadProgram', () => {
  it('gives kernels typed by their declarations', () => {
    const memory = memories.arena();
    const { addFloat32, sgd } = loadProgram('arena', memory);
    const values = new Float32Array(memory.buffer, 65_536, 2).fill(1.5);
    addFloat32(65_536, 65_536, 8);
    expect([...values]).toEqual([3, 3]);
    // @ts-expect-error a length is missing
    addFloat32(65_536, 65_536, ...[]);
    // @ts-expect-error a flag is not a number
    sgd(65_536, 65_536, 65_536, 0, 1, 0, 0, 1, 0);
    // @ts-expect-error no such kernel
    expect(loadProgram('arena', memory).addFloat16).toBeUndefined();
    expect([...values]).toEqual([3, 3]);
  });
});
