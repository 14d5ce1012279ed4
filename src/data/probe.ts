import type { PixelRules } from './pixel-rules.js';
import { Budget } from './budget.js';
import { decoderOptions } from './decode.js';
import { loadSharp } from './decoder.js';
import { isAnimated, kindOf } from './image-file.js';
import { filePlace, type ImagePlace } from './places/place.js';
import { explainDecoding } from './undecodable.js';

/** Size and kind of an image as it is read. */
export interface ProbedImage {
  /** Pixels, after its orientation is applied where the rules say so. */
  width: number;
  height: number;
  channels: number;
  /** Whether it is animated: only its first frame is read. */
  animated: boolean;
}

const held = new Budget(64 * 2 ** 20);
const decoded = new Budget(32e6);

/**
 * Decodes a whole image, to see whether it can be read. All its lines go through the decoder and none are kept:
 * they are scaled down to one pixel as they come. Formats that are decoded as a whole (progressive, interlaced) are
 * held in memory, few at a time.
 *
 * @throws UserError `IMAGE_INVALID`, naming the file
 */
export async function probeImage(image: string | ImagePlace, rules: PixelRules): Promise<ProbedImage> {
  const place = typeof image === 'string' ? filePlace(image) : image;
  const { file } = place;
  return held.run(place.size(), async () => {
    const bytes = await place.read();
    const kind = kindOf({ file, bytes });
    const sharp = await loadSharp();
    try {
      const opened = sharp(bytes, { ...decoderOptions(rules), autoOrient: false });
      const { width, height, channels, autoOrient } = await opened.metadata();
      await decoded.run(width * height, () => opened.resize(1, 1, { fit: 'fill' }).raw().toBuffer());
      const seen = rules.orientation === 'apply' ? autoOrient : { width, height };
      return { ...seen, channels, animated: isAnimated(bytes) };
    } catch (error) {
      throw explainDecoding({ file, bytes }, kind, rules, error);
    }
  });
}
