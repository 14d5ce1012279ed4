import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.js';
import { completeStored } from '../../src/config/stored.js';
import { decodeImage } from '../../src/data/decode.js';
import { preprocessingOf } from '../../src/data/preprocessing.js';
import { describe as describeModel } from '../../src/export/description.js';

const python = process.env.POD_DIST_PYTHON ?? 'python3';
const fixture = (name: string) => fileURLToPath(new URL(`../data/fixtures/${name}`, import.meta.url));
const assets = fileURLToPath(new URL('../../dist/src/export/assets/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const recipe = (data: object) => ({
  data: { name: 'image-folder', root: 'faces', ...data },
  model: { name: 'resnet20' },
  learningRate: { schedule: 'constant', rate: 0.1 },
});

const descriptionOf = (settings: unknown, channels: 1 | 3) => {
  const config = configSchema.parse(settings);
  const shape = [32, 32, channels] as const;
  const head = { scores: 'cosines', classes: 2, dim: 8 } as never;
  const { preprocessing } = describeModel(
    { config, shape: [...shape], classNames: ['a', 'b'], epochs: 1 },
    head,
    'NCHW',
  );
  return { config, preprocessing, shape };
};

describe('classifier.json', () => {
  it('describes how images become pixels', () => {
    expect(descriptionOf(recipe({}), 1).preprocessing).toMatchObject({
      orientation: 'exif',
      colourProfile: 'to sRGB',
      alpha: { background: '#ffffff' },
      filter: { reduce: 'lanczos3', enlarge: 'bicubic', shrinkOnLoad: false },
      grey: 'rec601',
    });
    expect(descriptionOf(recipe({}), 3).preprocessing).not.toHaveProperty('grey');
  });

  it('describes the earlier pixel rules for checkpoints without pixel settings', () => {
    const stored = recipe({});
    completeStored(stored);
    expect(descriptionOf(stored, 1).preprocessing).toMatchObject({
      orientation: 'as stored',
      alpha: 'drop',
      filter: { shrinkOnLoad: true },
      grey: 'lightness',
    });
  });
});

/** Whether Python on this machine (`POD_DIST_PYTHON`, else python3) has Pillow and NumPy. */
function hasPillow(): boolean {
  return spawnSync(python, ['-c', 'import numpy, PIL']).status === 0;
}

const program = `
import json, sys
sys.path.insert(0, sys.argv[1])
from PIL import Image
from preprocessing import prepare
for job in json.load(open(sys.argv[2])):
    prepare(Image.open(job["image"]), job["description"]).tofile(job["to"])
`;
import { needs } from '../needs.js';

describe(
  'preprocessing.py',
  needs('Python with Pillow and NumPy (POD_DIST_PYTHON names one)', hasPillow()),
  () => {
    it('gives the pixels of decodeImage, up to differences of resampling in Pillow', async () => {
      const files = [
        ...['disc-alpha-32.png', 'disc-alpha-64.png', 'disc-alpha-96.png', 'f-upright.png', 'patches.png'],
        ...[1, 6, 7].map((orientation) => `f-orientation-${orientation}.jpg`),
      ];
      const kinds = [
        descriptionOf(recipe({ size: 32 }), 3),
        descriptionOf(recipe({ size: 32, channels: 1, background: '#2040c0' }), 1),
        descriptionOf(
          recipe({ size: 32, resize: 40, channels: 1, grey: 'lightness', orientation: 'ignore' }),
          1,
        ),
      ];
      const jobs = kinds.flatMap(({ config, preprocessing, shape }, kind) =>
        files.map((name) => ({
          image: fixture(name),
          description: { preprocessing },
          to: join(folder, `${kind}-${name}.f32`),
          options: preprocessingOf(config.data, shape),
        })),
      );
      writeFileSync(join(folder, 'jobs.json'), JSON.stringify(jobs));
      const ended = spawnSync(python, ['-c', program, assets, join(folder, 'jobs.json')], {
        encoding: 'utf8',
      });
      expect(ended.stderr).toBe('');
      for (const { image, to, options } of jobs) {
        const own = await decodeImage(image, options);
        const theirs = new Float32Array(new Uint8Array(readFileSync(to)).buffer);
        expect(theirs).toHaveLength(own.length);
        const { channels } = options;
        const plane = own.length / channels;
        const off = Array.from(own, (value, at) =>
          Math.abs(value - 255 * theirs[(at % channels) * plane + Math.floor(at / channels)]),
        );
        expect(off.reduce((sum, value) => sum + value, 0) / off.length, to).toBeLessThan(3);
      }
    });
  },
);
