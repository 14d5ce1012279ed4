import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { indexImages, indexTestImages, indexUnclassed } from '../../src/data/image-index.js';
import { UserError } from '../../src/util/errors.js';
import { needs } from '../needs.js';

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterEach(() => rmSync(root, { recursive: true }));

/** Creates empty files, since the index reads only names; creates a folder for a path that ends in a slash. */
function make(...paths: string[]): void {
  for (const path of paths) {
    const full = join(root, path);
    mkdirSync(path.endsWith('/') ? full : dirname(full), { recursive: true });
    if (!path.endsWith('/')) writeFileSync(full, '');
  }
}

const good = ['train/b/2.jpg', 'train/a/1.png', 'test/a/3.jpg', 'test/b/4.jpeg'];

describe('indexImages', () => {
  it('orders classes and images by name', async () => {
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

  it('skips hidden names and the files of file managers', async () => {
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
  ])('takes test images from %s, with other files %j', async (folder, others) => {
    make('train/a/1.webp', 'train/b/1.png', `${folder}/a/2.webp`, `${folder}/b/3.jpg`, ...others);
    const { splits } = await indexImages(root);
    expect(splits.test.files).toEqual(['a/2.webp', 'b/3.jpg'].map((file) => join(root, folder, file)));
    expect(splits.train.files).toHaveLength(2);
  });

  const wrong: [what: string, paths: string[], code: string, where: string][] = [
    ['no such folder', [], 'DATA_NOT_FOUND', 'train'],
    ['no test folder', ['train/a/1.jpg'], 'DATA_NOT_FOUND', 'test'],
    ['a file in place of a folder', ['train', 'test/a/1.jpg'], 'DATA_NOT_FOUND', 'train'],
    ['no class', ['train/', 'test/'], 'DATA_INVALID', 'train'],
    ['only hidden classes', ['train/.a/1.jpg', 'test/.a/1.jpg'], 'DATA_INVALID', 'train'],
    ['images outside any class', ['train/1.jpg', 'test/a/1.jpg'], 'DATA_INVALID', 'train'],
    ['a class without images', [...good, 'train/c/', 'test/c/1.jpg'], 'DATA_INVALID', 'train/c'],
    ['a class without test images', [...good, 'train/c/1.jpg', 'test/c/'], 'DATA_INVALID', 'test/c'],
    ['a class missing from the test split', [...good, 'train/c/1.jpg'], 'DATA_INVALID', 'test/c'],
    ['a test class that is not trained', [...good, 'test/d/1.jpg'], 'DATA_INVALID', 'test/d'],
    ['no test images of a class in val', ['train/a/1.jpg', 'val/b/1.jpg'], 'DATA_INVALID', 'val/b'],
    ['a file that is no image', [...good, 'train/a/notes.txt'], 'DATA_INVALID', 'train/a/notes.txt'],
    ['an image beside the classes', [...good, 'train/1.jpg'], 'DATA_INVALID', 'train/1.jpg'],
    [
      'a class with the same name in two Unicode forms',
      [...good, 'train/caf\u00e9/1.jpg', 'train/cafe\u0301/1.jpg'],
      'DATA_INVALID',
      'train/caf\u00e9',
    ],
    ['a folder within a class', [...good, 'test/b/more.jpg/1.jpg'], 'DATA_INVALID', 'test/b/more.jpg'],
  ];

  it.each(wrong)('rejects %s in one line with the path', async (_what, paths, code, where) => {
    make(...paths);
    const error = await indexImages(root).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UserError);
    const { message, code: found } = error as UserError;
    expect(found).toBe(code);
    expect(message).not.toContain('\n');
    expect(message.split(/[ :]/)).toContain(join(root, where));
  });

  it('matches class names of different Unicode form, and keeps paths unchanged', async () => {
    make('train/cafe\u0301/1.jpg', 'train/z/1.jpg', 'test/caf\u00e9/2.jpg', 'test/z/2.jpg');
    const { classNames, splits } = await indexImages(root);
    expect(classNames).toEqual(['caf\u00e9', 'z']);
    expect(splits.train.files[0]).toBe(join(root, 'train/cafe\u0301/1.jpg'));
    expect(splits.test.files[0]).toBe(join(root, 'test/caf\u00e9/2.jpg'));
  });

  it('follows links to folders and files, and rejects broken links', async () => {
    make('elsewhere/1.jpg', 'elsewhere/2.png', 'train/b/1.jpg', 'test/a/1.jpg', 'test/b/1.jpg');
    symlinkSync(join(root, 'elsewhere'), join(root, 'train/a'));
    symlinkSync(join(root, 'elsewhere/2.png'), join(root, 'train/b/2.png'));
    const { splits } = await indexImages(root);
    const names = splits.train.files.map((file) => file.slice(root.length + 1));
    expect(names).toEqual(['train/a/1.jpg', 'train/a/2.png', 'train/b/1.jpg', 'train/b/2.png']);
    symlinkSync('nowhere', join(root, 'train/b/3.png'));
    await expect(indexImages(root)).rejects.toThrow(/train\/b\/3.png is a link that leads nowhere/);
  });

  it(
    'reports pipes, devices, and names that are not UTF-8',
    needs('Linux', process.platform === 'linux'),
    async () => {
      make(...good);
      execFileSync('mkfifo', [join(root, 'train/a/2.png')]);
      symlinkSync('/dev/zero', join(root, 'train/a/3.png'));
      writeFileSync(
        Buffer.concat([Buffer.from(join(root, 'train/b/')), Buffer.of(0x63, 0xe9), Buffer.from('.jpg')]),
        '',
      );
      const faults: string[] = [];
      await indexImages(root, { onFault: ({ message }) => void faults.push(message.slice(root.length + 1)) });
      expect(faults.sort()).toEqual([
        'train/a/2.png is a named pipe, not a file',
        'train/a/3.png is a link to a device, not to a file',
        'train/b/c\\xe9.jpg has a name that is not UTF-8: rename it',
      ]);
    },
  );

  it('reports every fault to onFault', async () => {
    make(...good, 'train/a/x.txt', 'train/c/1.jpg', 'test/d/1.jpg', 'test/b/y.txt');
    const faults: string[] = [];
    const { splits } = await indexImages(root, { onFault: ({ message }) => void faults.push(message) });
    const about = (text: string) => faults.filter((fault) => fault.includes(text)).length;
    expect(faults).toHaveLength(4);
    expect(['no class d', 'test/c is missing', 'x.txt', 'y.txt'].map(about)).toEqual([1, 1, 1, 1]);
    expect([splits.train.files.length, splits.test.files.length]).toEqual([3, 2]);
  });

  it('takes val if test has no class folders, and data.testSplit if given', async () => {
    make(
      'train/a/1.jpg',
      'train/b/1.jpg',
      'test/1.jpg',
      'val/a/2.jpg',
      'val/b/2.jpg',
      'own/a/3.jpg',
      'own/b/3.jpg',
    );
    const notices: string[] = [];
    const notify = (line: string) => void notices.push(line);
    const testFiles = async (testSplit?: string) =>
      (await indexImages(root, { testSplit, notify })).splits.test.files.map((file) =>
        file.slice(root.length + 1),
      );
    expect(await testFiles()).toEqual(['val/a/2.jpg', 'val/b/2.jpg']);
    expect(notices).toEqual([expect.stringMatching(/test has no class folders: .*val \(data.testSplit/)]);
    expect(await testFiles('own')).toEqual(['own/a/3.jpg', 'own/b/3.jpg']);
    await expect(testFiles('test')).rejects.toThrow(/test holds no class folders/);
  });

  it('warns if there is only one class', async () => {
    make('train/a/1.jpg', 'test/a/1.jpg');
    const notices: string[] = [];
    await indexImages(root, { notify: (line) => void notices.push(line) });
    expect(notices).toEqual([expect.stringMatching(/train holds one class only, a: /)]);
  });
});

describe('indexTestImages', () => {
  it('needs no training images, and warns of classes without test images', async () => {
    make('test/a/1.jpg', 'test/c/1.jpg', 'test/c/2.jpg');
    const notices: string[] = [];
    const notify = (line: string) => void notices.push(line);
    const { classNames, splits } = await indexTestImages(root, ['a', 'b', 'c'], { notify });
    expect(classNames).toEqual(['a', 'b', 'c']);
    expect([...splits.test.labels]).toEqual([0, 2, 2]);
    expect(notices).toEqual([expect.stringMatching(/test has no images of b: /)]);
  });

  it('rejects classes that the model does not know', async () => {
    make('test/a/1.jpg', 'test/x/1.jpg');
    await expect(indexTestImages(root, ['a', 'b'])).rejects.toMatchObject({
      code: 'CHECKPOINT_MISMATCH',
      message: expect.stringMatching(/classes that the checkpoint does not know: x; it knows a, b$/),
    });
  });

  it("takes class folders of the root with testSplit '.'", async () => {
    make('a/1.jpg', 'b/1.jpg');
    const { splits } = await indexTestImages(root, ['a', 'b'], { testSplit: '.' });
    expect([...splits.test.labels]).toEqual([0, 1]);
  });
});

describe('indexUnclassed', () => {
  it('lists the images of a folder, then those of its subfolders', async () => {
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
  ])('rejects %s', async (_what, paths, code, message) => {
    make(...paths);
    await expect(indexUnclassed(root)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });
});
