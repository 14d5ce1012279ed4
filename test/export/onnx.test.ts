import { describe, expect, it } from 'vitest';
import { onnxFile } from '../../src/export/onnx.js';
import type { Network } from '../../src/export/operations.js';

describe('onnxFile', () => {
  it('rejects weights over the limit of protocol buffers before it copies them', () => {
    const network: Network = {
      inputShape: [1, 1, 1],
      operations: [{ op: 'flatten', name: 'flat', inputs: ['images'], shape: [1] }],
      // Untouched pages take no memory.
      tensors: new Map([['large.weight', { shape: [2 ** 29], data: new Float32Array(2 ** 29) }]]),
    };
    expect(() => onnxFile('model.onnx', network)).toThrow(
      expect.objectContaining({
        code: 'EXPORT_TOO_LARGE',
        message: expect.stringMatching(/^the weights are 2,147,483,648 bytes, .*--format safetensors$/),
      }),
    );
  });
});
