import type { ExportedFile } from './files.js';
import type { WeightTensor } from '../models/layouts.js';

/**
 * Tensors as a safetensors file (https://github.com/huggingface/safetensors, "Format"): the length of the header,
 * 8 bytes little-endian; the header, JSON that gives each tensor's type, shape and place; then all tensors, one after
 * another. Spaces after the header bring the tensors to a multiple of 8 bytes.
 */
export function safetensorsFile(name: string, tensors: ReadonlyMap<string, WeightTensor>): ExportedFile {
  let end = 0;
  const entries = [...tensors].map(([key, { shape, data }]) => {
    const start = end;
    end += data.byteLength;
    return [key, { dtype: 'F32', shape, data_offsets: [start, end] }];
  });
  const json = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) });
  const bytes = Buffer.byteLength(json);
  const header = Buffer.alloc(8 + Math.ceil(bytes / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  header.write(json, 8);
  const bodies = [...tensors.values()].map(
    ({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  );
  return { name, parts: [header, ...bodies] };
}
