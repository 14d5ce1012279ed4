/** What every backbone is built from, besides its own settings. */
export interface ModelOptions {
  /** [height, width, channels] of one image. */
  shape: readonly [number, number, number];
  /** Decides every initial weight. */
  seed: number;
}
