import { createHash } from 'node:crypto';

const unset = '0'.repeat(64);
const ending = /"sha256": "([0-9a-f]{64})"\n\}$/;

/** An object as JSON whose last entry, `sha256`, is the digest of the text itself with zeros in the digest's place. */
export function seal(value: object): Buffer {
  const text = Buffer.from(JSON.stringify({ ...value, sha256: unset }, null, 2));
  text.write(digestOf(text), placeOf(text), 'latin1');
  return text;
}

/** The digest of a sealed text; undefined where there is none, or the text is not what was sealed. */
export function verifySeal(text: Buffer): string | undefined {
  const [, told] = ending.exec(text.toString('latin1', Math.max(text.length - 200, 0))) ?? [];
  if (told === undefined) return undefined;
  const open = Buffer.from(text);
  open.write(unset, placeOf(open), 'latin1');
  return digestOf(open) === told ? told : undefined;
}

/** Where the digest begins: before the quote, the line break and the brace at the end. */
function placeOf(text: Buffer): number {
  return text.length - unset.length - 3;
}

function digestOf(text: Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}
