import type sharp from 'sharp';
import { messageOf, UserError } from '../util/errors.js';

let loading: Promise<typeof sharp> | undefined;

/**
 * The library that decodes images, loaded when the first image needs it.
 *
 * @throws UserError `DECODER_MISSING` where its binary for this machine is not installed
 */
export function loadSharp(): Promise<typeof sharp> {
  return (loading ??= import('sharp').then(({ default: loaded }) => {
    loaded.concurrency(1);
    loaded.cache(false);
    return loaded;
  }, explain));
}

/** Versions of the decoder: another version may decode the same file to other pixels. */
export async function decoderVersion(): Promise<string> {
  const { versions } = await loadSharp();
  return `sharp ${versions.sharp}, libvips ${versions.vips}`;
}

function explain(error: unknown): never {
  const [reason] = messageOf(error).split(/(?<=[.:]) /);
  throw new UserError(
    'DECODER_MISSING',
    `images cannot be decoded, since sharp does not load (${reason}): npm install --include=optional sharp`,
  );
}
