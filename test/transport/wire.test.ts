import { describe, expect, it } from 'vitest';
import { checkHeader, decodeHeader, encodeHeader, type Header } from '../../src/transport/wire.js';

const header: Header = {
  kind: 'allReduce',
  type: 'float32',
  op: 'sum',
  wire: 'bf16',
  stream: 1,
  sequence: 2 ** 32 - 1,
  step: 3,
  chunk: 4,
  source: 5,
  tag: 0xdead_beef,
  elements: 6,
  bytes: 12,
  generation: 7,
};

describe('decodeHeader', () => {
  it('decodes what encodeHeader wrote', () => {
    expect(decodeHeader(encodeHeader(header))).toEqual(header);
  });

  it.each([
    ['kind', 6],
    ['element type', 7],
    ['operation', 8],
    ['wire type', 9],
  ])('rejects a byte that is no %s, as checkHeader does', (what, at) => {
    const frame = encodeHeader(header);
    frame[at] = 200;
    const refusal = expect.objectContaining({
      code: 'PROTOCOL_ERROR',
      message: expect.stringContaining(`${what} 200`),
    });
    expect(() => decodeHeader(frame)).toThrow(refusal);
    expect(() => checkHeader(frame, header, 0, 'gradients')).toThrow(refusal);
  });
});
