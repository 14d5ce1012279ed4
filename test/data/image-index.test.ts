import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { indexImages, indexUnclassed } from '../../src/data/image-index.js';
import { UserError } from '../../src/errors.js';

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterEach(() => rmSync(root, { recursive: true }));

/** Makes empty files; a path that ends in a slash makes a folder. The index reads names alone. */
function make(...paths: string[]): void {
  for (const path of paths) {
    const full = join(root, path);
    mkdirSync(path.endsWith('/') ? full : dirname(full), { recursive: true });
    if (!path.endsWith('/')) writeFileSync(full, '');
  }
}

const good = ['train/b/2.jpg', 'train/a/1.png', 'test/a/3.jpg', 'test/b/4.jpeg'];

describe('indexImages', () => {
  it('numbers classes and images in the order of their names', async () => {
    make(...good, 'train/a/10.PNG', 'train/a/0.jpg', 'train/c/x.jpg', 'test/c/y.jpg');
    const { classNames, splits } = await indexImages(root);
    expect(classNames).toEqual(['a', 'b', 'c']);
    const names = splits.train.files.map((file) => file.slice(root.length + 1));
    expect(names).toEqual([
      'train/a/0.jpg',
      'train/a/1.png',
      'train/a/10.PNG',
      'train/b/2.jpg',
      'train/c/x.jpg',
    ]);
    expect([...splits.train.labels]).toEqual([0, 0, 0, 1, 2]);
    expect([...splits.test.labels]).toEqual([0, 1, 2]);
  });

  it('passes over hidden names and what file managers leave', async () => {
    make(
      ...good,
      'train/.cache/1.jpg',
      'train/a/.DS_Store',
      'train/a/._1.jpg',
      'test/b/Thumbs.db',
      'train/README.md',
    );
    const { classNames, splits } = await indexImages(root);
    expect(classNames).toEqual(['a', 'b']);
    expect(splits.train.files).toHaveLength(2);
  });

  it.each([
    ['test', ['val/c/9.jpg']],
    ['val', []],
  ])('takes test images from %s, beside %j', async (folder, others) => {
    make('train/a/1.webp', 'train/b/1.png', `${folder}/a/2.webp`, `${folder}/b/3.jpg`, ...others);
    const { splits } = await indexImages(root);
    expect(splits.test.files).toEqual(['a/2.webp', 'b/3.jpg'].map((file) => join(root, folder, file)));
    expect(splits.train.files).toHaveLength(2);
  });

  const wrong: [what: string, paths: string[], code: string, where: string][] = [
    ['no such folder', [], 'DATA_NOT_FOUND', 'train'],
    ['no test folder', ['train/a/1.jpg'], 'DATA_NOT_FOUND', 'test'],
    ['a file in the place of a folder', ['train', 'test/a/1.jpg'], 'DATA_NOT_FOUND', 'train'],
    ['no class at all', ['train/', 'test/'], 'DATA_INVALID', 'train'],
    ['hidden classes alone', ['train/.a/1.jpg', 'test/.a/1.jpg'], 'DATA_INVALID', 'train'],
    ['images outside any class', ['train/1.jpg', 'test/a/1.jpg'], 'DATA_INVALID', 'train'],
    ['a class without images', [...good, 'train/c/', 'test/c/1.jpg'], 'DATA_INVALID', 'train/c'],
    ['a class without test images', [...good, 'train/c/1.jpg', 'test/c/'], 'DATA_INVALID', 'test/c'],
    ['a class missing from the test split', [...good, 'train/c/1.jpg'], 'DATA_INVALID', 'test/c'],
    ['a test class that is not trained', [...good, 'test/d/1.jpg'], 'DATA_INVALID', 'test/d'],
    ['no test images of a class in val', ['train/a/1.jpg', 'val/b/1.jpg'], 'DATA_INVALID', 'val/b'],
    ['a file that is no image', [...good, 'train/a/notes.txt'], 'DATA_INVALID', 'train/a/notes.txt'],
    ['a folder within a class', [...good, 'test/b/more.jpg/1.jpg'], 'DATA_INVALID', 'test/b/more.jpg'],
  ];

  it.each(wrong)('says in one line where there is %s', async (_what, paths, code, where) => {
    make(...paths);
    const error = await indexImages(root).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UserError);
    const { message, code: found } = error as UserError;
    expect(found).toBe(code);
    expect(message).not.toContain('\n');
    expect(message.split(/[ :]/)).toContain(join(root, where));
  });
});

describe('indexUnclassed', () => {
  it("lists a folder's own images, then those of its folders", async () => {
    make('b/2.png', 'z.jpg', 'a/c/1.JPG', 'a/3.png', '.cache/4.png');
    const { classNames, splits } = await indexUnclassed(root);
    expect(classNames).toEqual([]);
    expect(splits.test.files).toEqual(
      ['z.jpg', 'a/3.png', 'a/c/1.JPG', 'b/2.png'].map((file) => join(root, file)),
    );
  });

  it.each([
    [
      'a file that is no image',
      ['a/1.png', 'a/notes.txt'],
      'DATA_INVALID',
      'a/notes.txt is no .jpg, .png or .webp',
    ],
    ['no images', ['a/'], 'DATA_INVALID', 'holds no .jpg, .png or .webp images'],
  ])('refuses %s', async (_what, paths, code, message) => {
    make(...paths);
    await expect(indexUnclassed(root)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });
});
