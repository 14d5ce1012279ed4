import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeFolder, writeImage } from '../data/images.js';
import { Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

interface Line {
  file: string;
  class: string | null;
  error?: { code: string; message: string };
  top: { class: string; index: number; cosine: number }[];
}

describe('pod-dist predict', () => {
  beforeAll(async () => {
    await writeFolder(place.path('images'), ['cat', 'dog', 'emu'], 4);
    writeFileSync(
      place.path('tiny.yaml'),
      'name: tiny\nbatchSize: 4\nepochs: 2\nbackend: wasm\ndata: {name: image-folder, root: images, size: 8, cache: {folder: pixels}}\n' +
        'model: {name: small-cnn, dim: 4, channels: [4], strides: [1]}\n' +
        'learningRate: {schedule: constant, rate: 0.05}\nevaluation: {batchSize: 5}\n',
    );
    const ended = await place.ask('launch', '--config', 'tiny.yaml', '--out', 'run');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
  });

  const lines = (stdout: string) =>
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);

  it('agrees with evaluate on every image of a folder', async () => {
    const { code, stdout } = await place.ask('predict', '--checkpoint', 'run', '--json', 'images/test');
    expect(code).toBe(0);
    const found = lines(stdout);
    const correct = found.filter(({ file, class: name }) => file.split('/')[2] === name).length;
    expect([correct, found.length]).toEqual([place.report('run').evalCorrect, 12]);
    for (const { top } of found) {
      expect(top.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
      expect(top[0].cosine).toBeGreaterThanOrEqual(top[1].cosine);
    }
  });

  it('ends with exit code 2 and a line for each unreadable image, after the others', async () => {
    writeFileSync(place.path('broken.jpg'), 'no image');
    const { code, stdout, stderr } = await place.ask(
      ...['predict', '--checkpoint', 'run', '--top', '1'],
      ...['broken.jpg', 'images/test/cat/0.png', 'nowhere.png', 'images/test/emu/1.jpg'],
    );
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^pod-dist: broken.jpg is no image[^\n]+\npod-dist: nowhere.png is no image[^\n]+\n$/,
    );
    expect(stdout).toMatch(
      /^images\/test\/cat\/0.png: (cat|dog|emu) -?\d\.\d{4}\nimages\/test\/emu\/1.jpg: (cat|dog|emu) -?\d\.\d{4}\n$/,
    );
  });

  it('reports animated images, and classifies their first frame', async () => {
    const white = new Uint8Array(8 * 16 * 3).fill(255, 0, 8 * 8 * 3);
    await sharp(white, { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } })
      .webp({ loop: 0, delay: [100, 100], lossless: true })
      .toFile(place.path('moves.webp'));
    await sharp(white.subarray(0, 8 * 8 * 3), { raw: { width: 8, height: 8, channels: 3 } })
      .webp({ lossless: true })
      .toFile(place.path('stands.webp'));
    const given = ['predict', '--checkpoint', 'run', 'moves.webp', 'stands.webp'];
    const text = await place.ask(...given);
    expect(text).toMatchObject({
      code: 0,
      stderr: 'pod-dist: moves.webp is animated: its first frame is classified\n',
    });
    const [moves, stands] = lines((await place.ask(...given, '--json')).stdout);
    expect(moves).toEqual({ ...stands, file: 'moves.webp', animated: true });
  });

  it('reports unreadable images in JSON', async () => {
    const { code, stdout } = await place.ask(
      ...['predict', '--checkpoint', 'run', '--json', 'nowhere.png', 'images/test/cat/0.png'],
    );
    expect(code).toBe(2);
    const found = lines(stdout);
    expect(found.map(({ file, error }) => [file, error?.code])).toEqual([
      ['images/test/cat/0.png', undefined],
      ['nowhere.png', 'IMAGE_INVALID'],
    ]);
  });

  it('gives no class below the threshold', async () => {
    await writeImage(place.path('one.png'), [130, 130, 130], [30, 20]);
    const [line] = lines(
      (await place.ask('predict', '--checkpoint', 'run', '--threshold', '1', '--json', 'one.png')).stdout,
    );
    expect([line.class, line.top.length]).toEqual([null, 3]);
    const { stdout } = await place.ask('predict', '--checkpoint', 'run', '--threshold', '1', 'one.png');
    expect(stdout).toMatch(/^one\.png: unknown \(nearest: \w+ /);
  });

  it.each([
    [['--top', '0', 'one.png'], /top takes/],
    [['--threshold', '2', 'one.png'], /threshold takes/],
    [['--threshold', 'x', 'one.png'], /threshold takes/],
    [['empty'], /empty holds no \.jpg/],
    [['https://example.org/a.png'], /is an address, and predict reads files: fetch it first/],
  ])('rejects %j', async (args, message) => {
    mkdirSync(place.path('empty'), { recursive: true });
    const { code, stderr } = await place.ask('predict', '--checkpoint', 'run', ...args);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    expect(stderr).toMatch(/^pod-dist: [^\n]+\n$/);
  });

  it('reads standard input and nested folders, and reports the files that it leaves out', async () => {
    for (const image of ['mixed/one.png', 'mixed/inner/two.png'])
      await writeImage(place.path(image), [90, 90, 90], [20, 20]);
    writeFileSync(place.path('mixed', 'notes.txt'), '');
    execFileSync('mkfifo', [place.path('mixed', 'pipe.png')]);
    const within = ['sh', '-c', '"$@" < images/test/cat/0.png', 'sh'];
    const args = ['predict', '--checkpoint', 'run', '--json', 'mixed', '-'];
    const { code, stdout, stderr } = await place.start(args, {}, within).ended;
    expect(code).toBe(2);
    const found = lines(stdout) as (Line & { leftOut?: string })[];
    expect(found.map(({ file, leftOut }) => [file, leftOut])).toEqual([
      ['mixed/one.png', undefined],
      ['mixed/inner/two.png', undefined],
      ['-', undefined],
      ['mixed/notes.txt', 'is no .jpg, .png or .webp image'],
      ['mixed/pipe.png', 'is a named pipe, not a file'],
    ]);
    expect(stderr).toMatch(
      /^pod-dist: left out: mixed\/notes.txt is no [^\n]+\npod-dist: left out: mixed\/pipe.png is a named pipe, not a file\n$/,
    );
  });

  it('rejects a pipe and a device at once, whatever their names', async () => {
    execFileSync('mkfifo', [place.path('pipe.jpg')]);
    symlinkSync('/dev/zero', place.path('zero.jpg'));
    const { code, stderr } = await place.ask('predict', '--checkpoint', 'run', 'pipe.jpg', 'zero.jpg');
    expect(code).toBe(2);
    expect(stderr).toMatch(/pipe.jpg is no image that can be read \(it is a named pipe, not a file\)/);
    expect(stderr).toMatch(/zero.jpg is no image that can be read \(it is a device, not a file\)/);
  });
});

describe('pod-dist evaluate on another folder', () => {
  const evaluate = (...args: string[]) => place.ask('evaluate', '--checkpoint', 'run', ...args);

  it('needs neither training images nor every class, with one worker and two', async () => {
    for (const name of ['cat', 'emu'])
      for (const image of [0, 1])
        await writeImage(place.path('other', 'test', name, `${image}.png`), [20 * image, 90, 90], [9, 9]);
    const [one, two] = [
      await evaluate('--set', 'data.root=other', '--json'),
      await evaluate('--set', 'data.root=other/test', '--set', 'data.testSplit=.', '--json', '-n', '2'),
    ];
    expect([one.code, two.code], one.stderr + two.stderr).toEqual([0, 0]);
    expect(one.stderr).toMatch(/other\/test has no images of dog: the evaluation is of the other classes\n/);
    const { total, classTotal, correct } = JSON.parse(one.stdout) as Record<string, unknown>;
    expect([total, classTotal]).toEqual([4, [2, 0, 2]]);
    expect(JSON.parse(two.stdout)).toMatchObject({ total, classTotal, correct });
  });

  it('rejects classes that the checkpoint does not know', async () => {
    await writeImage(place.path('strange', 'test', 'yak', '1.png'), [1, 2, 3]);
    const { code, lastLine } = await evaluate('--set', 'data.root=strange');
    expect([code, lastLine]).toEqual([
      2,
      'pod-dist: strange/test has classes that the checkpoint does not know: yak; it knows cat, dog, emu (see pod-dist explain CHECKPOINT_MISMATCH)',
    ]);
  });
});
