import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const cli = fileURLToPath(new URL('../../dist/launcher/cli.js', import.meta.url));

const bench = (...args: string[]) =>
  promisify(execFile)(process.execPath, [cli, 'bench', ...args], { timeout: 55_000 });

describe('pod-dist bench', () => {
  let folder: string;
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it('step measures forward, backward and update, writes an SVG, and lists the slowest kernels', async () => {
    const svg = join(folder, 'step.svg');
    const { stdout } = await bench(
      ...['step', '--model', 'small-cnn', '--batch', '4', '--backend', 'wasm', '--steps', '3'],
      ...['--json', '--profile', '--svg', svg],
    );
    const row = JSON.parse(stdout) as Record<string, number> & {
      kernels: { kernel: string; calls: number }[];
    };
    expect(row).toMatchObject({ backend: 'wasm', model: 'small-cnn', batch: 4, waitMs: 0 });
    expect(row.imagesPerSecond).toBeCloseTo(4000 / row.medianMs, 6);
    for (const part of ['forwardMs', 'backwardMs', 'updateMs']) expect(row[part]).toBeGreaterThan(0);
    expect(row.forwardMs).toBeLessThan(row.medianMs * 1.5);
    const filters = row.kernels.find(({ kernel }) => kernel === 'Conv2DBackpropFilter');
    expect(filters?.calls).toBe(3);
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg/);
  });

  it('loader measures an image folder with and without caches', async () => {
    for (const split of ['train', 'test']) {
      for (const name of ['cat', 'dog']) {
        mkdirSync(join(folder, split, name), { recursive: true });
        const create = { width: 8, height: 8, channels: 3, background: '#336699' } as const;
        for (let image = 0; image < 4; image++)
          await sharp({ create })
            .png()
            .toFile(join(folder, split, name, `${image}.png`));
      }
    }
    const recipe = ['--config', 'cifar10-resnet20', '--set', `data.root=${folder}`, '--set', 'data.size=8'];
    const { stdout } = await bench('loader', ...recipe, '--batch-size', '2', '--threads', '1', '--json');
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { pass: string; imagesPerSecond: number });
    const none = { decoded: 0, disk: 0, memory: 0 };
    expect(rows).toMatchObject([
      { pass: 'no cache', images: 8, origins: { ...none, decoded: 8 } },
      { pass: 'first epoch', images: 8, origins: { ...none, decoded: 8 } },
      { pass: 'second epoch', images: 8, origins: { ...none, memory: 8 } },
      { pass: 'second run', images: 8, origins: { ...none, disk: 8 } },
    ]);
    for (const { imagesPerSecond } of rows) expect(imagesPerSecond).toBeGreaterThan(0);
  });

  it('step rejects an unknown model', async () => {
    const failure = await bench('step', '--model', 'resnet19').catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 2, stderr: expect.stringContaining('resnet19') });
  });
});
