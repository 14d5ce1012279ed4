import { createHash } from 'node:crypto';
import { readImageFile, sizeOfFile } from '../image-file.js';
import { stampOf, type Stamp } from '../pixels/disk-cache.js';
import { PartReader, type ImageContainer, type ContainerReader } from './container.js';

/** An image as it lies somewhere: a file, or a part of one. */
export interface ImagePlace {
  /** Name in messages. */
  file: string;
  /** Bytes of the image; 0 where that is not known. */
  size(): number;
  /** Tells the image from what may have been at the same place; throws where that is not known. */
  stamp(): Stamp;
  /** The whole image; throws a `UserError` that names it. */
  read(): Uint8Array | Promise<Uint8Array>;
}

/** Places of the images of a split that are parts of larger files: image i has element i of each array. */
export interface ImageParts {
  containers: readonly ImageContainer[];
  /** Number of the container. */
  container: Uint32Array;
  /** First byte in the container, and number of bytes. */
  offset: Float64Array;
  size: Float64Array;
}

/** Names of images in messages, and their places where they are no files of these names. */
export interface PlacedImages {
  files: readonly string[];
  parts?: ImageParts;
}

/** An image that is a file. */
export function filePlace(file: string): ImagePlace {
  return {
    file,
    size: () => sizeOfFile(file),
    stamp: () => stampOf(file),
    read: () => readImageFile(file),
  };
}

/** The place of an image of a split. */
export function placeOf(
  { files, parts }: PlacedImages,
  image: number,
  reader: ContainerReader = (ownReader ??= new PartReader()),
): ImagePlace {
  const file = files[image];
  if (!parts) return filePlace(file);
  const container = parts.containers[parts.container[image]];
  const size = parts.size[image];
  return {
    file,
    size: () => size,
    stamp: () => stampOfContainer(container),
    read: () => reader.read(container, parts.offset[image], size),
  };
}

let ownReader: PartReader | undefined;

function stampOfContainer({ bytes, version }: ImageContainer): Stamp {
  const digest = createHash('sha256').update(`${bytes} ${version}`).digest();
  return digest.subarray(0, 24);
}
