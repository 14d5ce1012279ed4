import { UserError } from '../util/errors.js';

const units: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/**
 * Bytes of a size such as `64KB` or `1.5 MiB`.
 *
 * @throws UserError `USAGE` for anything else, and for a size that is no whole number of float32 values
 */
export function parseSize(text: string): number {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([kmg]?i?b)?\s*$/i.exec(text) ?? [];
  const bytes = Number(number) * units[(unit ?? 'B').toUpperCase()];
  if (!(bytes >= 4) || bytes % 4 !== 0) {
    throw new UserError('USAGE', `${text} is no size: give a multiple of 4 bytes, such as 64KB or 1MiB`);
  }
  return bytes;
}

/** A size in thousands, such as `64 KB`. */
export function formatSize(bytes: number): string {
  const unit = ['GB', 'MB', 'KB'].find((name) => bytes >= units[name]) ?? 'B';
  return `${Number((bytes / units[unit]).toPrecision(4))} ${unit}`;
}
