import { closeSync, fstatSync, readSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { isS3 } from '../../s3/address.js';
import { findObject, readObject } from '../../s3/objects.js';
import { UserError } from '../../util/errors.js';
import { kindOfEntry, openRegular, reasonOf } from '../../util/regular-file.js';

/** A file or an object that holds images, in the state in which it was found. */
export interface ImageContainer {
  path: string;
  bytes: number;
  /** Tells this state from others: the time of the last modification, in nanoseconds; of an object its ETag. */
  version: string;
}

/** Reads parts of containers. */
export interface ContainerReader {
  /**
   * The bytes from `at` on, all of them.
   *
   * @throws UserError `DATA_NOT_FOUND` or `DATA_INVALID`, naming the container: it cannot be read, or has changed
   */
  read(container: ImageContainer, at: number, length: number): Promise<Buffer>;
}

/**
 * Finds a file, or an object.
 *
 * @throws UserError `DATA_NOT_FOUND` for a file; for an object as `findObject`
 */
export async function findContainer(path: string): Promise<ImageContainer> {
  if (isS3(path)) return findObject(path);
  try {
    const found = await stat(path, { bigint: true });
    if (!found.isFile()) throw new Error(`it is ${kindOfEntry(found)}, not a file`);
    return { path, bytes: Number(found.size), version: String(found.mtimeNs) };
  } catch (error) {
    throw new UserError('DATA_NOT_FOUND', `cannot read ${path}: ${reasonOf(error)}`);
  }
}

/** Reads parts of files and objects. */
export class PartReader implements ContainerReader {
  private readonly files = new FileReader();

  read(container: ImageContainer, at: number, length: number): Promise<Buffer> {
    return isS3(container.path) ? readObject(container, at, length) : this.files.read(container, at, length);
  }

  close(): void {
    this.files.close();
  }
}

/** Files that a reader holds open, those used last. */
const mostOpen = 64;

/** Reads parts of files. A file that is no longer as it was found is refused. */
export class FileReader implements ContainerReader {
  private readonly open = new Map<string, number>();

  read(container: ImageContainer, at: number, length: number): Promise<Buffer> {
    const { path } = container;
    try {
      return Promise.resolve(this.readPart(container, at, length));
    } catch (error) {
      if (error instanceof UserError) return Promise.reject(error);
      const message = `cannot read ${path}: ${reasonOf(error)}`;
      return Promise.reject(new UserError('DATA_NOT_FOUND', message));
    }
  }

  private readPart(container: ImageContainer, at: number, length: number): Buffer {
    const descriptor = this.descriptorOf(container);
    const bytes = Buffer.alloc(length);
    let read = 0;
    while (read < length) {
      const more = readSync(descriptor, bytes, read, Math.min(length - read, 2 ** 30), at + read);
      if (more === 0) throw changed(container);
      read += more;
    }
    return bytes;
  }

  /** The open file, opened anew where it is not as it was found: it may have been replaced before that. */
  private descriptorOf(container: ImageContainer): number {
    const { path } = container;
    const known = this.open.get(path);
    this.open.delete(path);
    if (known !== undefined && isAsFound(known, container)) {
      this.open.set(path, known);
      return known;
    }
    if (known !== undefined) closeSync(known);
    const { descriptor } = openRegular(path);
    if (!isAsFound(descriptor, container)) {
      closeSync(descriptor);
      throw changed(container);
    }
    this.open.set(path, descriptor);
    const [oldest] = this.open;
    if (this.open.size > mostOpen && oldest) {
      this.open.delete(oldest[0]);
      closeSync(oldest[1]);
    }
    return descriptor;
  }

  close(): void {
    for (const descriptor of this.open.values()) closeSync(descriptor);
    this.open.clear();
  }
}

function isAsFound(descriptor: number, { bytes, version }: ImageContainer): boolean {
  const { size, mtimeNs } = fstatSync(descriptor, { bigint: true });
  return Number(size) === bytes && String(mtimeNs) === version;
}

function changed({ path }: ImageContainer): UserError {
  return new UserError(
    'DATA_INVALID',
    `${path} has changed since this run has listed its images: start the run again`,
  );
}
