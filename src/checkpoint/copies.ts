import { existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileOf, joinS3 } from '../s3/address.js';
import { listObjects, readObject, removeObject, writeObject, type S3Object } from '../s3/objects.js';
import type { Patience } from '../s3/retry.js';
import { UserError } from '../util/errors.js';
import { readRegularFile } from '../util/regular-file.js';
import { isCheckpoint, listCheckpoints } from './checkpoints.js';
import { plainName } from './fetch-copy.js';
import { largestManifest, manifestName } from './manifest.js';

/**
 * Keeps copies of a run's checkpoints at an address: `<address>/<name>/<file>`.
 *
 *     1. a copy of the same name that is of another checkpoint loses its manifest
 *     2. the files are sent, those that were sent before left out
 *     3. the manifest is sent, last of all; an evaluation that is made later follows
 *     4. copies of checkpoints that the run has dropped are removed, their manifests first
 *
 * A copy without a manifest is none, so a copy is whole or is not there. Only copies of checkpoints that were once in the
 * run's folder are removed.
 */
export class CheckpointCopies {
  /** What has been sent of each checkpoint, and the state of its manifest then. */
  private readonly sent = new Map<string, { stamp: string; files: Set<string> }>();

  constructor(
    private readonly runFolder: string,
    private readonly address: string,
  ) {}

  /**
   * Takes note of the checkpoints that the run has, before more come.
   *
   * @throws UserError `RUN_EXISTS` where there are copies, and none of a checkpoint of this run: they are another run's
   */
  async begin(patience: Patience): Promise<void> {
    const { folders } = await listObjects(this.address, { ...patience, flat: true });
    const copies = folders.filter(isCheckpoint);
    let isOurs = copies.length === 0;
    for (const folder of await listCheckpoints(this.runFolder)) {
      const name = basename(folder);
      this.sent.set(name, { stamp: '', files: new Set() });
      isOurs ||= copies.includes(name) && (await this.isCopied(name, join(folder, manifestName)));
    }
    if (!isOurs)
      throw new UserError(
        'RUN_EXISTS',
        `${this.address} holds copies of another run (${copies[0]}): --resume goes on from them, or give another checkpoint.copyTo`,
      );
  }

  /** Sends what is not there yet, the newest checkpoint first, and removes what the run no longer has. */
  async update(): Promise<void> {
    const folders = (await listCheckpoints(this.runFolder)).reverse();
    for (const folder of folders)
      await this.send(folder).catch((error: unknown) => {
        if (existsSync(join(folder, manifestName))) throw error;
      });
    const names = new Set(folders.map((folder) => basename(folder)));
    for (const name of this.sent.keys()) {
      if (names.has(name)) continue;
      await this.remove(name);
      this.sent.delete(name);
    }
  }

  private async send(folder: string): Promise<void> {
    const name = basename(folder);
    const manifest = join(folder, manifestName);
    const { size, mtimeMs, ino } = statSync(manifest);
    const stamp = `${size} ${mtimeMs} ${ino}`;
    let known = this.sent.get(name);
    if (known?.stamp !== stamp) known = { stamp, files: await this.replace(name, manifest) };
    this.sent.set(name, known);
    const wanted = (await readdir(folder)).filter((file) => plainName.test(file) && file !== manifestName);
    for (const file of [...wanted.sort(), manifestName]) {
      if (known.files.has(file)) continue;
      await writeObject(joinS3(this.address, `${name}/${file}`), join(folder, file));
      known.files.add(file);
    }
  }

  /** Whether a copy of the very checkpoint is there. */
  private async isCopied(name: string, manifest: string): Promise<boolean> {
    const { objects } = await listObjects(joinS3(this.address, name), { flat: true });
    const there = objects.find(({ path }) => fileOf(path) === manifestName);
    const own = readRegularFile(manifest, { mostBytes: largestManifest });
    return there?.bytes === own.length && (await readObject(there, 0, there.bytes)).equals(own);
  }

  /** Files that a copy of this very checkpoint has already; a copy of another one loses its manifest first. */
  private async replace(name: string, manifest: string): Promise<Set<string>> {
    const { objects } = await listObjects(joinS3(this.address, name), { flat: true });
    if (await this.isCopied(name, manifest)) return new Set(objects.map(({ path }) => fileOf(path)));
    await removeObject(joinS3(this.address, `${name}/${manifestName}`));
    return new Set();
  }

  private async remove(name: string): Promise<void> {
    const { objects } = await listObjects(joinS3(this.address, name), { flat: true });
    const last = ({ path }: S3Object) => Number(fileOf(path) !== manifestName);
    for (const { path } of objects.sort((a, b) => last(a) - last(b))) await removeObject(path);
  }
}
