import yauzl from 'yauzl';
import { messageOf, UserError } from '../util/errors.js';
import { readNumbers, sizeOf, type NumberType } from './numbers.js';
import { areWhole, elementsOf, type StoredTensor, type StoredTensors } from './tensors.js';
import { Named, unpickle } from './unpickle.js';

/** Types of storages, by the class that a pickle names. */
const storages: Readonly<Record<string, NumberType>> = {
  'torch.FloatStorage': 'F32',
  'torch.DoubleStorage': 'F64',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
};

const dictionary = 'collections.OrderedDict';
const rebuildTensor = 'torch._utils._rebuild_tensor_v2';
const rebuildParameter = 'torch._utils._rebuild_parameter';
const allowed = new Set([dictionary, rebuildTensor, rebuildParameter, ...Object.keys(storages)]);

/** Names under which training programs keep the tensors among other things. */
const nested = ['state_dict', 'model', 'model_state_dict', 'model_state'];

/** Files in such an archive, at most. */
const mostEntries = 100_000;

interface Storage {
  type: NumberType;
  bytes: Buffer;
}

class Tensor implements StoredTensor {
  constructor(
    private readonly storage: Storage,
    private readonly offset: number,
    readonly shape: readonly number[],
    private readonly strides: readonly number[],
    private readonly count: number,
  ) {}

  read(): Float32Array {
    const values = readNumbers(this.storage.bytes, this.storage.type);
    const result = new Float32Array(this.count);
    const position = this.shape.map(() => 0);
    let from = this.offset;
    for (let to = 0; to < this.count; to++) {
      result[to] = values[from] ?? NaN;
      for (let axis = position.length - 1; axis >= 0; axis--) {
        const [side = 1, stride = 0, place = 0] = [this.shape[axis], this.strides[axis], position[axis]];
        from += stride;
        position[axis] = place + 1;
        if (place + 1 < side) break;
        from -= stride * side;
        position[axis] = 0;
      }
    }
    return result;
  }
}

/** Whether bytes begin as a zip archive does. */
export function isZip(bytes: Buffer): boolean {
  return bytes.length > 4 && bytes.readUInt32LE() === 0x04034b50;
}

/**
 * The tensors of a file that `torch.save` has written (PyTorch 1.6 and newer): a zip archive, in which `data.pkl` describes
 * tensors and `data/0`, `data/1`, ... hold their numbers. What it describes must be a dictionary of tensors by name, or one
 * that holds such a dictionary.
 *
 * @throws UserError `WEIGHTS_INVALID`
 */
export async function readPytorch(file: string, bytes: Buffer): Promise<StoredTensors> {
  try {
    const entries = await unzip(bytes);
    const pickle = [...entries].find(([name]) => /^[^/]+\/data\.pkl$/.test(name));
    if (!pickle) throw new Error('holds no data.pkl');
    const root = pickle[0].slice(0, -'data.pkl'.length);
    const order = entries.get(`${root}byteorder`)?.toString('latin1').trim() ?? 'little';
    if (order !== 'little') throw new Error(`holds ${order}-endian numbers, which are not read`);
    const value = unpickle(pickle[1], {
      allowed,
      load: (id) => storageOf(id, (key) => entries.get(`${root}data/${key}`)),
      call,
    });
    return stateOf(value);
  } catch (error) {
    throw new UserError(
      'WEIGHTS_INVALID',
      `cannot take weights from ${file}: it ${messageOf(error)}; save model.state_dict(), or safetensors`,
    );
  }
}

async function unzip(bytes: Buffer): Promise<Map<string, Buffer>> {
  const entries = new Map<string, Buffer>();
  const zip = await yauzl.fromBufferPromise(bytes).catch((error: unknown) => {
    throw new Error(`is no zip archive that can be read (${messageOf(error)})`);
  });
  for await (const entry of zip.eachEntry()) {
    if (entries.size >= mostEntries) throw new Error(`holds more than ${mostEntries} files`);
    if (entry.compressionMethod !== 0)
      throw new Error(`holds ${entry.fileName} compressed, which PyTorch does not`);
    const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    const end = fileDataStart + entry.uncompressedSize;
    if (end > bytes.length) throw new Error('ends early');
    entries.set(entry.fileName, bytes.subarray(fileDataStart, end));
  }
  return entries;
}

/** ('storage', class, key, location, number of elements). */
function storageOf(id: unknown, read: (key: string) => Buffer | undefined): Storage {
  const [kind, type, key, , count] = Array.isArray(id) ? (id as unknown[]) : [];
  const known = type instanceof Named ? storages[type.name] : undefined;
  if (kind !== 'storage' || known === undefined || typeof key !== 'string')
    throw new Error('has a storage of a kind that is not read');
  const bytes = read(key);
  if (bytes?.length !== Number(count) * sizeOf(known))
    throw new Error(`has a storage ${key} that does not hold ${String(count)} numbers`);
  return { type: known, bytes };
}

function call(name: string, args: readonly unknown[]): unknown {
  if (name === dictionary && args.length === 0) return new Map();
  if (name === rebuildParameter && args[0] instanceof Tensor) return args[0];
  if (name === rebuildTensor) return tensorOf(args);
  throw new Error(`calls ${name} in a way that is not allowed`);
}

/** (storage, offset, shape, strides, ...): every element lies within the storage, and none is there more often than once. */
function tensorOf([storage, offset, shape, strides]: readonly unknown[]): Tensor {
  const { type, bytes } = (storage ?? {}) as Partial<Storage>;
  const count = elementsOf(shape);
  if (type === undefined || !bytes || count === undefined || !Array.isArray(strides) || !areWhole(strides))
    throw new Error('has a tensor that is none');
  const [sides, steps] = [shape as number[], strides];
  const last = sides.reduce((sum, side, axis) => sum + (side - 1) * (steps[axis] ?? NaN), Number(offset));
  const room = bytes.length / sizeOf(type);
  const isWithin = Number.isSafeInteger(offset) && Number(offset) >= 0 && last < room && count <= room;
  if (sides.length !== steps.length || (count > 0 && !isWithin))
    throw new Error('has a tensor that lies outside of its storage');
  return new Tensor({ type, bytes }, Number(offset), sides, steps, count);
}

function stateOf(value: unknown): StoredTensors {
  const inner = nested.map((key) => (value instanceof Map ? (value.get(key) as unknown) : undefined));
  for (const one of [value, ...inner]) {
    if (!(one instanceof Map)) continue;
    const tensors = [...one].filter(
      (entry): entry is [string, Tensor] => typeof entry[0] === 'string' && entry[1] instanceof Tensor,
    );
    if (tensors.length > 0) return new Map(tensors);
  }
  throw new Error('holds no dictionary of tensors');
}
