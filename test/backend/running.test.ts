import { beforeAll, describe, expect, it } from 'vitest';
import { explainFailure } from '../../src/backend/running.js';
import { initBackend } from '../../src/backend/index.js';

/** A WebAssembly module with one page of memory, whose function `load` reads beyond the page. */
const bytes = [
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f],
  ...[0x03, 0x02, 0x01, 0x00],
  ...[0x05, 0x03, 0x01, 0x00, 0x01],
  ...[0x07, 0x08, 0x01, 0x04, 0x6c, 0x6f, 0x61, 0x64, 0x00, 0x00],
  ...[0x0a, 0x0b, 0x01, 0x09, 0x00, 0x41, 0x80, 0x80, 0x04, 0x28, 0x02, 0x00, 0x0b],
];

async function readBeyond(): Promise<unknown> {
  const { instance } = await WebAssembly.instantiate(Uint8Array.from(bytes));
  try {
    (instance.exports.load as () => number)();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('explainFailure', () => {
  beforeAll(() => initBackend('wasm'));

  it('turns an out-of-bounds access of the wasm backend into OUT_OF_MEMORY', async () => {
    const cause = await readBeyond();
    expect(cause).toBeInstanceOf(WebAssembly.RuntimeError);
    const message = expect.stringMatching(/needs more memory than it can have: lower batchSize/) as string;
    expect(explainFailure(cause)).toMatchObject({ code: 'OUT_OF_MEMORY', message, cause });
  });

  it('returns other errors unchanged', () => {
    for (const error of [new Error('out of bounds'), new WebAssembly.RuntimeError('unreachable'), 'text'])
      expect(explainFailure(error)).toBe(error);
  });
});
