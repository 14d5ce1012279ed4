import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.js';
import { openDataset } from '../../../src/data/index.js';
import { writeFolder, writeImage } from '../../data/images.js';
import { Workplace } from '../../integration/command.js';

describe('pod-dist init', () => {
  let place: Workplace;
  beforeAll(async () => {
    place = new Workplace();
    await writeFolder(place.path('grey'), ['a', 'b', 'c'], 4);
    for (const [name, count] of [
      ['red', 12],
      ['blue', 3],
    ] as const)
      for (let image = 0; image < count; image++)
        await writeImage(
          place.path('flat', name, `${image}.jpg`),
          name === 'red' ? [204, 0, 0] : [0, 0, 204],
          [120, 90 + image],
        );
  });
  afterAll(() => place.clear());

  it('writes a recipe for folders train and test that launch can train', async () => {
    const { code, stdout, stderr } = await place.ask('init', 'grey');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^grey: 3 classes, 12 images, 4 a class\ntest images: 12 in grey\/test\n/);
    expect(stdout).toMatch(
      /sizes of 12 training images: all 8x8 pixels; grey, mean 0\.1\d+, deviation 0\.0\d+\n/,
    );
    const [, next = ''] = /next: pod-dist (.*)\n$/.exec(stdout) ?? [];
    expect(next).toBe('launch --config recipe.yaml --epochs 1');
    const text = readFileSync(place.path('recipe.yaml'), 'utf8');
    const { data, model } = loadConfig({ file: place.path('recipe.yaml') });
    expect(data).toMatchObject({ size: 8, channels: 1, holdOut: 0, augment: { flip: false } });
    expect(model).toMatchObject({ name: 'small-cnn', dim: 64 });
    // The levels of the training images are 10, 15, ..., 65.
    expect(data.normalize?.mean[0]).toBeCloseTo(37.5 / 255, 2);
    expect(data.normalize?.std[0]).toBeCloseTo(Math.sqrt((25 * (12 ** 2 - 1)) / 12) / 255, 2);

    const again = await place.ask('init', 'grey');
    expect([again.code, again.lastLine]).toEqual([2, expect.stringMatching(/recipe\.yaml is there already/)]);
    expect(readFileSync(place.path('recipe.yaml'), 'utf8')).toBe(text);
    const launched = await place.ask(...next.split(' '), '--backend', 'wasm', '--out', 'run');
    expect([launched.code, launched.stderr]).toEqual([0, '']);
    expect(place.report('run')).toMatchObject({ epochs: 1, evalTotal: 12 });
  });

  it('holds out a share of each class if there are no test images', async () => {
    const { code, stdout } = await place.ask('init', 'flat', '--out', 'flat.yaml', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ classNames: ['blue', 'red'], perClass: [3, 12], grey: false, sampled: 12 },
      sizes: { smallest: [120, 90], largest: [120, expect.any(Number)] },
    });
    const config = loadConfig({ file: place.path('flat.yaml') });
    expect(config).toMatchObject({ sampling: 'classes', model: { name: 'resnet18', stem: '3x3' } });
    expect(config.data).toMatchObject({ holdOut: 0.2, size: 64, resize: 72, channels: 3 });
    const root = place.path('flat');
    const open = (data: object, evaluated?: string[]) =>
      openDataset({ ...config.data, root, ...data } as typeof config.data, { seed: 1, evaluated });
    const { labels, close } = await open({});
    expect([...labels.train, ...labels.test]).toEqual([0, 0, ...Array(10).fill(1), 0, 1, 1]);
    await close();
    const held = await open({}, ['blue', 'red']);
    expect([...held.labels.test]).toEqual([0, 1, 1]);
    await held.close();
    await expect(open({}, ['blue', 'green'])).rejects.toMatchObject({ code: 'CHECKPOINT_MISMATCH' });
    await expect(open({ testSplit: 'red' })).rejects.toThrow(
      /data\.holdOut is 0\.2, and data\.testSplit names red/,
    );
  });

  it('rejects a wrong folder with the reason, and writes no file', async () => {
    mkdirSync(place.path('empty'));
    mkdirSync(place.path('half/test/a'), { recursive: true });
    await writeImage(place.path('few/a/0.png'), [1, 2, 3]);
    await writeImage(place.path('broken/a/0.png'), [1, 2, 3]);
    writeFileSync(place.path('broken/a/1.png'), 'no image');
    writeFileSync(place.path('broken/a/2.png'), 'no image');
    const wrong: [folder: string, message: RegExp][] = [
      ['nowhere', /the folder nowhere does not exist/],
      ['empty', /empty holds no class folders: put images into empty\/<class>/],
      ['half', /half has half\/test but no train/],
      ['few', /few\/a holds one image: data\.holdOut needs two/],
      ['broken', /broken\/a\/\d\.png is no image that can be read/],
    ];
    for (const [folder, message] of wrong) {
      const { code, stderr } = await place.ask('init', folder, '--out', 'none.yaml');
      expect(stderr).toMatch(/^pod-dist: [^\n]+\n$/m);
      expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    }
    expect(() => rmSync(place.path('none.yaml'))).toThrow(/ENOENT/);
  });
});
