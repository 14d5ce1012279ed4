import { preprocessingOf } from '../data/preprocessing.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Head } from './head.js';

/** Contents of `classifier.json` in every format: all that a user of the model needs besides its weights. */
export interface Description {
  format: 'pod-dist-classifier';
  version: 1;
  /** Kind of the output, a number a class in the order of `classNames`. */
  scores: Head['scores'];
  classNames: readonly string[];
  input: { name: string; layout: 'NHWC' | 'NCHW'; shape: (number | null)[] };
  output: { name: string; shape: (number | null)[] };
  /**
   * Steps, in this order: orientation, colours to sRGB, transparency, size x size pixels, grey, and each channel to
   * (value / 255 - mean) / std.
   */
  preprocessing: {
    size: number;
    channels: 'grey' | 'RGB';
    /** `stretch`, or: the shorter side to so many pixels, then the size x size centre. */
    resize: 'stretch' | { shorterSide: number };
    /** `exif`: turned and mirrored as EXIF says; else as the file stores it. */
    orientation: 'exif' | 'as stored';
    /** An embedded profile is applied, and CMYK converted; without one, values are sRGB's. */
    colourProfile: 'to sRGB';
    /** Transparent parts are painted over a colour before the image is resized; `drop`: alpha is taken away after. */
    alpha: { background: string } | 'drop';
    filter: {
      reduce: 'lanczos3';
      enlarge: 'bicubic';
      /** Whether the decoder itself may halve large JPEG files first. */
      shrinkOnLoad: boolean;
    };
    /**
     * Conversion of colours where the channels are grey: Rec. 601's luma (Pillow's L), or the lightness of linear
     * light.
     */
    grey?: 'rec601' | 'lightness';
    mean: readonly number[];
    std: readonly number[];
  };
  featureDim: number;
  loss: string;
  epochs: number;
}

/** Describes a checkpoint's model for images in the given layout. */
export function describe(
  { config, shape, classNames, epochs }: Pick<Checkpoint, 'config' | 'shape' | 'classNames' | 'epochs'>,
  head: Head,
  layout: 'NHWC' | 'NCHW',
): Description {
  const [height, width, channels] = shape;
  const { size, resize, normalize, rules } = preprocessingOf(config.data, shape);
  return {
    format: 'pod-dist-classifier',
    version: 1,
    scores: head.scores,
    classNames,
    input: {
      name: 'images',
      layout,
      shape: layout === 'NHWC' ? [null, height, width, channels] : [null, channels, height, width],
    },
    output: { name: head.scores, shape: [null, head.classes] },
    preprocessing: {
      size,
      channels: channels === 1 ? 'grey' : 'RGB',
      resize: resize === undefined ? 'stretch' : { shorterSide: resize },
      orientation: rules.orientation === 'apply' ? 'exif' : 'as stored',
      colourProfile: 'to sRGB',
      alpha: rules.background === 'drop' ? 'drop' : { background: rules.background },
      filter: { reduce: 'lanczos3', enlarge: 'bicubic', shrinkOnLoad: rules.shrinkOnLoad },
      ...(channels === 1 ? { grey: rules.grey } : {}),
      mean: normalize?.mean ?? new Array<number>(channels).fill(0),
      std: normalize?.std ?? new Array<number>(channels).fill(1),
    },
    featureDim: head.dim,
    loss: config.loss.name,
    epochs,
  };
}
