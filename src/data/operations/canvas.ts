/** An image of bytes that operations change, and memory of its size for those that cannot change it in place. */
export class Canvas {
  /** Row-major [height, width, channels], levels 0 to 255. */
  pixels: Uint8Array;
  private spare: Uint8Array;

  constructor(
    readonly height: number,
    readonly width: number,
    readonly channels: number,
  ) {
    this.pixels = new Uint8Array(height * width * channels);
    this.spare = new Uint8Array(this.pixels.length);
  }

  /** Replaces the image by what `draw` writes into `to`, whose old content is arbitrary. */
  redraw(draw: (from: Uint8Array, to: Uint8Array) => void): void {
    const { pixels, spare } = this;
    draw(pixels, spare);
    this.pixels = spare;
    this.spare = pixels;
  }
}

const { fround } = Math;

/** Grey of a colour, a whole number as PyTorch's float32 arithmetic has it. */
export function greyOf(red: number, green: number, blue: number): number {
  const sum = fround(fround(fround(red * redShare) + green * greenShare) + blue * blueShare);
  return sum | 0;
}

const [redShare, greenShare, blueShare] = [fround(0.2989), fround(0.587), fround(0.114)];

/** share * a + (1 - share) * b as a level, rounded towards zero; `own` and `other` are the two shares in float32. */
export function blend(a: number, b: number, own: number, other: number): number {
  const mixed = fround(fround(a * own) + b * other);
  return mixed <= 0 ? 0 : mixed >= 255 ? 255 : mixed | 0;
}
