import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findImages } from '../../src/data/find-images.js';

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterEach(() => rmSync(root, { recursive: true }));

function make(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), '');
  }
}

const found = async (...paths: string[]) => {
  const { files, leftOut } = await findImages(paths.map((path) => join(root, path)));
  const short = (file: string) => file.slice(root.length + 1);
  return {
    files: files.map(short),
    leftOut: leftOut.map(({ file, reason, kind }) => [short(file), reason.replaceAll(`${root}/`, ''), kind]),
  };
};

describe('findImages', () => {
  it('lists the images of folders, and keeps other paths unchanged', async () => {
    make('b/2.PNG', 'a/3.jpeg', 'z.jpg');
    expect((await found('gone.png', '.', 'z.jpg')).files).toEqual([
      'gone.png',
      ...['z.jpg', 'a/3.jpeg', 'b/2.PNG', 'z.jpg'],
    ]);
    expect((await findImages(['-'])).files).toEqual(['-']);
  });

  it('reports what it leaves out: other endings, hidden names, and whatever is no file', async () => {
    make('b/.cache/1.png', 'b/2.png', 'a/notes.txt', '.hidden.jpg', 'Thumbs.db', 'a/._2.png');
    symlinkSync('nowhere', join(root, 'lost.png'));
    execFileSync('mkfifo', [join(root, 'pipe.png')]);
    const { files, leftOut } = await found('.');
    expect(files).toEqual(['b/2.png']);
    expect(leftOut).toEqual([
      ['.hidden.jpg', 'is hidden', 'hidden'],
      ['lost.png', 'is a link that leads nowhere (ENOENT)', 'unusable'],
      ['pipe.png', 'is a named pipe, not a file', 'unusable'],
      ['a/notes.txt', 'is no .jpg, .png or .webp image', 'other'],
      ['b/.cache', 'is hidden', 'hidden'],
    ]);
  });

  it('follows links, and a cycle of links once', async () => {
    make('a/1.png', 'far/2.png');
    symlinkSync(join(root, 'far'), join(root, 'a/b'));
    symlinkSync(join(root, 'a'), join(root, 'far/back'));
    symlinkSync(join(root, 'far/2.png'), join(root, 'a/3.png'));
    expect(await found('a')).toEqual({
      files: ['a/1.png', 'a/3.png', 'a/b/2.png'],
      leftOut: [['a/b/back', 'is the folder a, listed already', 'repeated']],
    });
  });

  it('rejects a folder without images, and a URL', async () => {
    make('notes.txt');
    await expect(findImages([root])).rejects.toMatchObject({
      code: 'NO_IMAGES',
      message: expect.stringContaining('notes.txt is no .jpg'),
    });
    await expect(findImages(['https://example.org/a.png'])).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/is an address, .* fetch it first/),
    });
  });

  it('lists a folder of 130,000 images', async () => {
    for (let image = 0; image < 130_000; image++) writeFileSync(join(root, `${image}.png`), '');
    expect((await findImages([root])).files).toHaveLength(130_000);
  });
});
