import { Header, Pax } from 'tar';
import { UserError } from '../../util/errors.js';
import type { ImageContainer, ContainerReader } from '../places/container.js';

/** A file in an archive: its name, and where its bytes are. */
export interface TarEntry {
  name: string;
  offset: number;
  size: number;
  /** Its bytes; before the next entry is asked for. */
  content(): Promise<Buffer>;
}

const block = 512;
/** Bytes of a name or of an extended header, at most. */
const mostMeta = 2 ** 20;
const plainFiles = new Set(['File', 'OldFile', 'ContiguousFile']);
const extendedHeaders = new Set(['ExtendedHeader', 'OldExtendedHeader']);
const longNames = new Set(['NextFileHasLongPath', 'OldGnuLongPath']);

/**
 * Lists the files of a tar archive in their order, reading headers and none of what lies between them but by chance:
 * `window` bytes are read at a time.
 *
 * An archive is a row of blocks of 512 bytes. A header gives name, type and size of what follows it, which fills whole
 * blocks. An extended header (pax) or a long name (GNU) is an entry of its own, and replaces fields of the next header;
 * a global one, those of all that follow. Two blocks of zeros end the archive, so that one that was cut is always known
 * from a whole one.
 *
 * @throws UserError `DATA_INVALID`, naming archive and entry: it is cut, is no archive, or claims what cannot be
 */
export async function* tarEntries(
  archive: ImageContainer,
  reader: ContainerReader,
  window: number,
): AsyncGenerator<TarEntry> {
  const blocks = new Blocks(archive, reader, window);
  let last = '';
  let own: Pax | undefined;
  let common: Pax | undefined;
  const refuse = (reason: string) => {
    const place = last === '' ? 'its first entry' : `what follows ${last}`;
    return new UserError(
      'DATA_INVALID',
      `${archive.path} is no tar archive that can be read (${place}: ${reason}): make it anew`,
    );
  };
  const first = await blocks.read(0, Math.min(2, archive.bytes));
  if (first[0] === 0x1f && first[1] === 0x8b)
    throw refuse('it is compressed; images are read from anywhere in a shard, so unpack it with gunzip');
  let at = 0;
  for (;;) {
    if (at + block > archive.bytes) throw refuse('the archive is cut, its end is missing');
    const bytes = await blocks.read(at, block);
    const header = decode(bytes, own, common, refuse);
    if (header.nullBlock) {
      await requireEnd(blocks, archive, at + block, refuse);
      return;
    }
    if (!header.cksumValid) throw refuse('its checksum is wrong');
    const { type, path = '', size = 0 } = header;
    const offset = at + block;
    if (!Number.isSafeInteger(size)) throw refuse(`its size is ${size}`);
    if (offset + size > archive.bytes)
      throw refuse(
        `${path} would have ${size} bytes, and the archive has ${archive.bytes - offset} more: it is cut`,
      );
    at = offset + Math.ceil(size / block) * block;
    const isMeta = extendedHeaders.has(type) || longNames.has(type) || type === 'GlobalExtendedHeader';
    if (isMeta) {
      if (size > mostMeta) throw refuse(`a header of ${size} bytes`);
      const text = (await blocks.read(offset, size)).toString('utf8');
      if (type === 'GlobalExtendedHeader') common = Pax.parse(text, common, true);
      else if (longNames.has(type))
        own = Object.assign(own ?? Pax.parse(''), { path: text.replace(/\0.*$/s, '') });
      else own = Pax.parse(text, own, false);
      continue;
    }
    own = undefined;
    if (path !== '') last = path;
    if (type === 'SparseFile') throw refuse(`${path} is stored with holes, which images must not be`);
    if (plainFiles.has(type)) yield { name: path, offset, size, content: () => blocks.read(offset, size) };
  }
}

function decode(
  bytes: Buffer,
  own: Pax | undefined,
  common: Pax | undefined,
  refuse: (reason: string) => UserError,
): Header {
  try {
    return new Header(bytes, 0, own, common);
  } catch (error) {
    throw refuse((error as Error).message);
  }
}

/** Refuses content after the end of an archive, as in concatenated archives: its images would be missed silently. */
async function requireEnd(
  blocks: Blocks,
  archive: ImageContainer,
  from: number,
  refuse: (reason: string) => UserError,
): Promise<void> {
  for (let at = from; at < archive.bytes; at += block) {
    const bytes = await blocks.read(at, Math.min(block, archive.bytes - at));
    if (bytes.some((byte) => byte !== 0))
      throw refuse('the archive ends there, and another one follows it: give each as a shard');
  }
}

/** Reads an archive from its beginning on, some blocks at a time. */
class Blocks {
  private bytes: Buffer = Buffer.alloc(0);
  private first = 0;

  constructor(
    private readonly archive: ImageContainer,
    private readonly reader: ContainerReader,
    private readonly window: number,
  ) {}

  async read(at: number, length: number): Promise<Buffer> {
    if (at < this.first || at + length > this.first + this.bytes.length) {
      const most = Math.max(0, this.archive.bytes - at);
      this.bytes = await this.reader.read(this.archive, at, Math.min(most, Math.max(length, this.window)));
      this.first = at;
    }
    return this.bytes.subarray(at - this.first, at - this.first + length);
  }
}
