/** Options of every backbone, besides its own settings. */
export interface ModelOptions {
  /** [height, width, channels] of one image. */
  shape: readonly [number, number, number];
  /** Seed of every initial weight. */
  seed: number;
}
