import { UserError } from '../util/errors.js';
import { isNumberType, readNumbers, sizeOf } from './numbers.js';
import { areWhole, elementsOf, type StoredTensor, type StoredTensors } from './tensors.js';

/** Bytes of the header, at most, as the format has it. */
const mostHeader = 100_000_000;

/** Whether bytes begin as a safetensors file does: a length, then a JSON object. */
export function isSafetensors(bytes: Buffer): boolean {
  return bytes.length > 8 && bytes.readBigUInt64LE() <= BigInt(mostHeader) && bytes[8] === 0x7b;
}

/**
 * The tensors of a safetensors file (https://github.com/huggingface/safetensors, "Format"): the length of the header, 8
 * bytes little-endian; the header, JSON that gives each tensor's type, shape and place; the numbers.
 *
 * Nothing is believed: types are known ones, shapes fit their places, and places cover the rest of the file without gap or
 * overlap.
 *
 * @throws UserError `WEIGHTS_INVALID`
 */
export function readSafetensors(file: string, bytes: Buffer): StoredTensors {
  const refuse = (what: string) =>
    new UserError('WEIGHTS_INVALID', `${file} is not a safetensors file: ${what}`);
  const length = Number(bytes.readBigUInt64LE());
  if (length > mostHeader || 8 + length > bytes.length)
    throw refuse(`its header has ${length} bytes, the file ${bytes.length}`);
  const header = parse(bytes.subarray(8, 8 + length));
  if (!header) throw refuse('its header is no JSON object');
  const body = bytes.subarray(8 + length);
  const tensors = new Map<string, StoredTensor>();
  const places: { name: string; start: number; end: number }[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
    if (!isNumberType(dtype))
      throw refuse(`tensor ${name} is of the type ${String(dtype)}, which is not read`);
    const count = elementsOf(shape);
    const place = placeOf(offsets, body.length);
    if (count === undefined || !place) throw refuse(`tensor ${name} has no place within the file`);
    const { start, end } = place;
    if (end - start !== count * sizeOf(dtype))
      throw refuse(`tensor ${name} has ${end - start} bytes, its shape needs ${count * sizeOf(dtype)}`);
    places.push({ name, start, end });
    const own = body.subarray(start, end);
    tensors.set(name, { shape: shape as number[], read: () => readNumbers(own, dtype) });
  }
  let at = 0;
  for (const { name, start, end } of places.sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== at) throw refuse(`tensor ${name} begins at byte ${start}, the one before it ends at ${at}`);
    at = end;
  }
  if (at !== body.length) throw refuse(`its tensors end at byte ${at} of ${body.length}`);
  return tensors;
}

function parse(bytes: Buffer): object | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function placeOf(offsets: unknown, most: number): { start: number; end: number } | undefined {
  if (!Array.isArray(offsets) || offsets.length !== 2 || !areWhole(offsets)) return undefined;
  const [start, end] = offsets as [number, number];
  return start <= end && end <= most ? { start, end } : undefined;
}
