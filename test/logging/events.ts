import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A summary value in a folder of event files. */
export interface Shown {
  step: number;
  tag: string;
  scalar?: number;
}

/**
 * Values that TensorBoard shows of a folder: those of all files in the order of their names. A session that begins at step
 * n replaces earlier values from step n on. A file ends at its first truncated record.
 */
export function readEvents(folder: string): Shown[] {
  const names = readdirSync(folder).filter((name) => name.startsWith('events.out.tfevents.'));
  let shown: Shown[] = [];
  for (const name of names.sort()) {
    for (const event of recordsOf(readFileSync(join(folder, name)))) {
      const { step, begins, values } = readEvent(event);
      if (begins) shown = shown.filter((value) => value.step < step);
      shown.push(...values.map((value) => ({ step, ...value })));
    }
  }
  return shown;
}

function* recordsOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at + 12 <= bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    if (at + 16 + length > bytes.length) return;
    yield bytes.subarray(at + 12, at + 12 + length);
    at += 16 + length;
  }
}

function readEvent(event: Uint8Array) {
  const found = { step: 0, begins: false, values: [] as Omit<Shown, 'step'>[] };
  for (const { field, value } of fieldsOf(event)) {
    if (field === 2) found.step = value as number;
    if (field === 7) found.begins = true;
    if (field !== 5) continue;
    for (const summary of fieldsOf(value as Uint8Array)) {
      const parts = fieldsOf(summary.value as Uint8Array);
      const of = (wanted: number) => parts.find((part) => part.field === wanted)?.value;
      const tag = Buffer.from(of(1) as Uint8Array).toString();
      found.values.push({ tag, scalar: of(2) as number | undefined });
    }
  }
  return found;
}

function fieldsOf(message: Uint8Array): { field: number; value: number | Uint8Array }[] {
  const reader = new BinaryReader(message);
  const fields = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const value =
      type === WireType.Varint
        ? Number(reader.int64())
        : type === WireType.Bit64
          ? reader.double()
          : type === WireType.Bit32
            ? reader.float()
            : reader.bytes();
    fields.push({ field, value });
  }
  return fields;
}
