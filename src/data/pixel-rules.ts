import { z } from 'zod';

/**
 * How an image file becomes pixels, besides its size and channels: for the files of a data set, of
 * `evaluation.unknown` and of `predict`.
 */
export const pixelRules = {
  background: z
    .string()
    .regex(/^(#[0-9a-f]{6}|drop)$/i, "a colour such as '#ffffff', or drop")
    .default('#ffffff')
    .describe(
      'transparent parts are painted over this colour before anything else; drop: transparency is taken away after resizing, which leaves hidden colours or black',
    ),
  orientation: z
    .enum(['apply', 'ignore'])
    .default('apply')
    .describe("turn and mirror an image as its EXIF orientation says, or take it as it's stored"),
  grey: z
    .enum(['rec601', 'lightness'])
    .default('rec601')
    .describe(
      'grey of a colour: 0.299 red + 0.587 green + 0.114 blue, as everywhere; or the lightness of linear light',
    ),
  shrinkOnLoad: z
    .boolean()
    .default(false)
    .describe('let the decoder halve large JPEG files as it reads them: faster, not quite the same pixels'),
  maxMegapixels: z.int().min(1).max(1000).default(100).describe('larger images are refused'),
};

export const pixelRulesSchema = z.object(pixelRules);

export type PixelRules = z.output<typeof pixelRulesSchema>;

/** The rules alone of settings that hold more. */
export function pixelRulesOf({
  background,
  orientation,
  grey,
  shrinkOnLoad,
  maxMegapixels,
}: PixelRules): PixelRules {
  return { background, orientation, grey, shrinkOnLoad, maxMegapixels };
}

/** The settings in which two sets of rules give other pixels. */
export function differingRules(a: PixelRules, b: PixelRules): (keyof PixelRules)[] {
  const deciding = ['background', 'orientation', 'grey', 'shrinkOnLoad'] as const;
  return deciding.filter((key) => a[key] !== b[key]);
}

/** The rules for pixels of earlier versions, which had no settings for them. */
export const earlierPixelRules = {
  background: 'drop',
  orientation: 'ignore',
  grey: 'lightness',
  shrinkOnLoad: true,
} as const satisfies Partial<PixelRules>;
