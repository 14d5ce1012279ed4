import fc from 'fast-check';

/** Smallest and largest numbers of integers with 1, 2, 4 and 8 bytes. */
const edges = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x7fff_ffff_ffff_ffffn,
  0xffff_ffff_ffff_ffffn,
];

/** One change of a sequence of bytes; positions are taken modulo its length. */
type Edit =
  | { kind: 'flip'; at: number; bit: number }
  | { kind: 'set'; at: number; value: number }
  | { kind: 'integer'; at: number; value: bigint; bytes: number; little: boolean }
  | { kind: 'remove' | 'repeat'; at: number; length: number }
  | { kind: 'insert'; at: number; bytes: Uint8Array }
  | { kind: 'cut'; at: number }
  | { kind: 'splice'; at: number; from: number; sample: number };

function edit(words: readonly Uint8Array[]): fc.Arbitrary<Edit> {
  const at = fc.nat(2 ** 24);
  const length = fc.oneof({ weight: 4, arbitrary: fc.nat(16) }, fc.nat(4096));
  const bytes = fc.uint8Array({ maxLength: 16 });
  return fc.oneof(
    fc.record({ kind: fc.constant('flip' as const), at, bit: fc.nat(7) }),
    fc.record({ kind: fc.constant('set' as const), at, value: fc.nat(255) }),
    fc.record({
      kind: fc.constant('integer' as const),
      at,
      value: fc.constantFrom(...edges),
      bytes: fc.constantFrom(1, 2, 4, 8),
      little: fc.boolean(),
    }),
    fc.record({ kind: fc.constantFrom('remove' as const, 'repeat' as const), at, length }),
    fc.record({
      kind: fc.constant('insert' as const),
      at,
      bytes: words.length > 0 ? fc.oneof(bytes, fc.constantFrom(...words)) : bytes,
    }),
    fc.record({ kind: fc.constant('cut' as const), at }),
    fc.record({ kind: fc.constant('splice' as const), at, from: at, sample: fc.nat(1000) }),
  );
}

/**
 * Valid samples with up to `most` changes each, or sometimes none: flipped bits, set bytes, extreme integers, and parts that
 * are removed, repeated, inserted (also `words` of the format), taken from another sample, or cut off at the end.
 */
export function mutated(
  samples: readonly Uint8Array[],
  { words = [], most = 8 }: { words?: readonly string[]; most?: number } = {},
): fc.Arbitrary<Buffer> {
  const known = words.map((word) => Buffer.from(word));
  return fc
    .tuple(fc.nat(samples.length - 1), fc.array(edit(known), { minLength: 0, maxLength: most }))
    .map(([sample, edits]) =>
      edits.reduce((bytes, change) => apply(bytes, change, samples), Buffer.from(samples[sample])),
    );
}

function apply(bytes: Buffer, change: Edit, samples: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  const at = bytes.length === 0 ? 0 : change.at % bytes.length;
  const copy = Buffer.from(bytes);
  switch (change.kind) {
    case 'flip':
      if (copy.length > 0) copy[at] ^= 1 << change.bit;
      return copy;
    case 'set':
      if (copy.length > 0) copy[at] = change.value;
      return copy;
    case 'integer': {
      for (let index = 0; index < change.bytes && at + index < copy.length; index++) {
        const place = change.little ? index : change.bytes - 1 - index;
        copy[at + index] = Number((change.value >> BigInt(8 * place)) & 0xffn);
      }
      return copy;
    }
    case 'remove':
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + change.length)]);
    case 'repeat':
      return Buffer.concat([copy.subarray(0, at + change.length), copy.subarray(at)]);
    case 'insert':
      return Buffer.concat([copy.subarray(0, at), change.bytes, copy.subarray(at)]);
    case 'cut':
      return copy.subarray(0, at);
    case 'splice': {
      const other = samples[change.sample % samples.length];
      return Buffer.concat([copy.subarray(0, at), other.subarray(change.from % (other.length + 1))]);
    }
  }
}

/** Keys with a meaning in JavaScript objects. */
export const treacherousKeys = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', ''];

/** Any value of JSON, with treacherous keys and numbers. */
export function anyJson(): fc.Arbitrary<unknown> {
  const number = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.constantFrom(-1, 0, 1e308, 2 ** 53, -(2 ** 31), 1e-320),
  );
  const leaf = fc.oneof(number, fc.string(), fc.boolean(), fc.constant(null), fc.string({ unit: 'binary' }));
  const key = fc.oneof({ weight: 3, arbitrary: fc.string() }, fc.constantFrom(...treacherousKeys));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 5 }),
      fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map(ownEntries),
    ),
  }));
  return value;
}

/** A valid value in which up to `most` parts, at any depth, are replaced, removed, copied or given another key. */
export function disturbed(samples: readonly unknown[], most = 4): fc.Arbitrary<unknown> {
  const change = fc.record({
    at: fc.nat(2 ** 24),
    how: fc.constantFrom('replace' as const, 'remove' as const, 'add' as const, 'copy' as const),
    key: fc.oneof(fc.constantFrom(...treacherousKeys), fc.string({ maxLength: 8 })),
    value: anyJson(),
    from: fc.nat(2 ** 24),
  });
  return fc
    .tuple(fc.nat(samples.length - 1), fc.array(change, { minLength: 1, maxLength: most }))
    .map(([sample, changes]) => {
      const root: unknown = structuredClone(samples[sample]);
      for (const { at, how, key, value, from } of changes) {
        const places = placesOf(root);
        if (places.length === 0) return value;
        const { holder, name } = places[at % places.length];
        if (how === 'remove') Reflect.deleteProperty(holder, name);
        else if (how === 'copy') own(holder, name, structuredClone(valueAt(places[from % places.length])));
        else own(holder, how === 'add' && !Array.isArray(holder) ? key : name, value);
      }
      return root;
    });
}

interface Place {
  holder: object;
  name: string;
}

function placesOf(root: unknown): Place[] {
  const places: Place[] = [];
  const visit = (holder: unknown, depth: number): void => {
    if (typeof holder !== 'object' || holder === null || ArrayBuffer.isView(holder) || depth > 20) return;
    for (const name of Object.keys(holder)) {
      places.push({ holder, name });
      visit((holder as Record<string, unknown>)[name], depth + 1);
    }
  };
  visit(root, 0);
  return places;
}

function valueAt({ holder, name }: Place): unknown {
  return (holder as Record<string, unknown>)[name];
}

/** Sets an own property of an object, whatever its name. */
function own(holder: object, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, writable: true, enumerable: true, configurable: true });
}

function ownEntries(entries: readonly (readonly [string, unknown])[]): object {
  const made = {};
  for (const [key, value] of entries) own(made, key, value);
  return made;
}
