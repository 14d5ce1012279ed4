import type { PixelRules } from './pixel-rules.js';
import { messageOf, type UserError } from '../util/errors.js';
import { endsEarly, notAnImage, type EncodedImage, type ImageKind } from './image-file.js';

/** The error of an image that the decoder refuses, with the reason in words even where the decoder gives none. */
export function explainDecoding(
  { file, bytes }: EncodedImage,
  kind: ImageKind,
  { maxMegapixels }: PixelRules,
  error: unknown,
): UserError {
  const reason = messageOf(error);
  if (/exceeds pixel limit/.test(reason))
    return notAnImage(file, `it has more than ${maxMegapixels} megapixels, see data.maxMegapixels`);
  if (/premature end/i.test(reason) || endsEarly(bytes, kind)) return notAnImage(file, 'it ends early');
  return notAnImage(file, /^unknown error$/i.test(reason) ? `it is a broken ${kind}` : reason);
}
