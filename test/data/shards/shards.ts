import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { indexImages } from '../../../src/data/image-index.js';

/** Names and contents of an archive's files, in order. */
export type Files = readonly (readonly [name: string, content: string | Uint8Array])[];

/** Writes an archive with the tar program. */
export function writeTar(file: string, files: Files, ...options: string[]): void {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  try {
    for (const [name, content] of files) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    mkdirSync(dirname(file), { recursive: true });
    const names = files.map(([name]) => name);
    execFileSync('tar', ['-cf', file, '--no-recursion', '-C', folder, ...options, ...names]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Writes the images of an image folder, in order, into `shards` shards of each split, with classes in `.cls`. */
export async function writeShards(root: string, images: string, shards = 2): Promise<void> {
  const { classNames, splits } = await indexImages(images);
  for (const split of ['train', 'test'] as const) {
    const { files, labels } = splits[split];
    const samples = files.map((file, image): Files => {
      const key = `s${String(image).padStart(6, '0')}`;
      return [
        [`${key}.cls`, classNames[labels[image]]],
        [`${key}.${file.replace(/^.*\./, '')}`, readFileSync(file)],
      ];
    });
    const each = Math.ceil(samples.length / shards);
    for (let shard = 0; shard < shards; shard++)
      writeTar(join(root, `${split}-${shard}.tar`), samples.slice(shard * each, (shard + 1) * each).flat());
  }
}
