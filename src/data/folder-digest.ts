import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { isS3 } from '../s3/address.js';
import { randomStream } from '../util/random.js';
import { openRegularHandle } from '../util/regular-file.js';
import { mapAtMost } from './budget.js';
import { decoderVersion } from './decoder.js';
import type { ImageIndex } from './image-index.js';
import { placeOf, type PlacedImages } from './places/place.js';
import { SlowNotice } from './slow-notice.js';

/** Images of each split whose content is read. */
const sampled = 128;

/** Bytes at the beginning of each of these images, and as many at its end, that enter the digest. */
const edgeBytes = 2 ** 16;

interface DigestOptions {
  /** Seed of the run: which images are read. */
  seed: number;
  /** Called with the progress if the work takes long. */
  notify(line: string): void;
}

/**
 * SHA-256 over what the ranks of a job must agree on, wherever the folder lies on each host: names (in Unicode's form
 * NFC), their order and labels, the size of every file, the content of a sample (at most 32 MiB), and the decoder's
 * version. Two folders of equal names and sizes, of which a share s of the files differs, pass with a probability of
 * (1 - s) to the power of 128.
 */
export async function folderDigest(
  root: string,
  { splits }: ImageIndex,
  { seed, notify }: DigestOptions,
): Promise<string> {
  const hash = createHash('sha256').update(await decoderVersion());
  const progress = new SlowNotice(`looking at the files of ${root}`, notify);
  const total = splits.train.files.length + splits.test.files.length;
  let done = 0;
  for (const [split, images] of [splits.train, splits.test].entries()) {
    const { files, labels, parts } = images;
    const sizes = await mapAtMost(32, files, async (file, image) => {
      progress.update(++done, total);
      if (parts) return parts.size[image];
      return (await stat(file).catch(() => undefined))?.size ?? -1;
    });
    for (const file of files) hash.update(`${portable(relative(root, file))}\n`);
    hash.update(labels).update(Float64Array.from(sizes));
    const random = randomStream(seed, 0xd9, split);
    const chosen = Array.from({ length: Math.min(sampled, files.length) }, (_, image) =>
      files.length <= sampled ? image : random.below(files.length),
    );
    const contents = await mapAtMost(8, chosen, (image) =>
      parts ? partEdges(images, image) : edges(files[image], sizes[image]),
    );
    for (const content of contents) hash.update(content);
  }
  return hash.digest('hex');
}

function portable(path: string): string {
  return path.split(sep).join('/').normalize('NFC');
}

/** The beginning and the end of an image in a file; of an object its ETag, which is the same for all ranks. */
async function partEdges(images: PlacedImages, image: number): Promise<Uint8Array> {
  const { containers = [], container = [] } = images.parts ?? {};
  const { path, version } = containers[container[image]];
  if (isS3(path)) return Buffer.from(version);
  const place = placeOf(images, image);
  const bytes = await place.read();
  return bytes.length <= 2 * edgeBytes
    ? bytes
    : Buffer.concat([bytes.subarray(0, edgeBytes), bytes.subarray(-edgeBytes)]);
}

/** The beginning and the end of a regular file; empty where it cannot be read: decoding it says why. */
async function edges(file: string, size: number): Promise<Buffer> {
  try {
    const handle = await openRegularHandle(file);
    try {
      const bytes = Buffer.alloc(Math.min(size, 2 * edgeBytes));
      const head = Math.min(bytes.length, edgeBytes);
      await handle.read(bytes, 0, head, 0);
      await handle.read(bytes, head, bytes.length - head, size - (bytes.length - head));
      return bytes;
    } finally {
      await handle.close();
    }
  } catch {
    return Buffer.alloc(0);
  }
}
