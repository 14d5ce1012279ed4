/** A TensorFlow library that the addon can be built against. */
export interface Library {
  /** Version, as far as it is known. */
  version: string;
  /** Folder with `tensorflow/c/c_api.h`. */
  include: string;
  /** Folder of the shared libraries. */
  folder: string;
  /** File names in `folder`. */
  files: string[];
}

/** Origins of a library, tried in this order. */
export const origins = ['wheel', 'installed', 'archive'] as const;
export type Origin = (typeof origins)[number];

/** Callbacks about progress: a line for each step, and the bytes of a download. */
export interface SetupProgress {
  step(line: string): void;
  bytes(received: number, total: number | undefined): void;
}
