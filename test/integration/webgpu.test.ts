import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EvaluationTotals } from '../../src/evaluation/totals.js';
import { accelerated } from '../backend/backends.js';
import { Workplace } from './command.js';
import { needs } from '../needs.js';

/** A network with batch norm that is small enough for a software driver. */
const small = [
  ...['--set', 'model.channels=[8,16]', '--set', 'model.strides=[2,2]'],
  ...['--set', 'batchSize=480', '--set', 'evaluation.batchSize=180'],
];

const available = accelerated.includes('webgpu');

describe('digits on webgpu', needs('a Vulkan driver for webgpu', available), () => {
  const place = new Workplace();
  const launch = (run: string, ...args: string[]) => place.run('launch', ...small, '--out', run, ...args);
  const losses = (run: string) => place.metrics(run).steps.map(({ loss }) => loss);

  beforeAll(async () => {
    for (const [run, backend, workers] of [
      ['cpu', 'wasm', '1'],
      ['one', 'webgpu', '1'],
      ['two', 'webgpu', '2'],
    ]) {
      const ended = await launch(run, '--backend', backend, '--workers', workers, '--epochs', '2');
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
    }
  }, 180_000);
  afterAll(() => place.clear());

  it.each(['one', 'two'])(
    'have the losses of wasm with %s worker(s), with synchronised batch norm',
    (run) => {
      const expected = losses('cpu');
      expect(expected.length).toBe(6);
      losses(run).forEach((loss, step) =>
        expect(Math.abs(loss - expected[step]) / expected[step], `step ${step}`).toBeLessThan(1e-3),
      );
      expect(place.report(run).backend).toBe('webgpu');
    },
  );

  it('resume from a checkpoint with another number of workers', async () => {
    const ended = await launch('two', '--resume', '--backend', 'webgpu', '--workers', '1', '--epochs', '3');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(place.metrics('two').epochs.length).toBe(3);
  });

  it('have the same evaluation counts with 1 and 2 workers', async () => {
    const counts: object[] = [];
    for (const workers of ['1', '2']) {
      const ended = await place.run(
        ...['evaluate', '--checkpoint', 'one', '--workers', workers, '--backend', 'webgpu', '--json'],
      );
      const { total, correct, classTotal, confusion } = JSON.parse(ended.stdout) as EvaluationTotals;
      counts.push({ total, correct, classTotal, confusion });
    }
    expect(counts[0]).toEqual(counts[1]);
    expect(counts[0]).toMatchObject({ total: 360, correct: place.metrics('one').epochs[1].evalCorrect });
  });
});

describe('launch on webgpu', () => {
  const place = new Workplace();
  afterAll(() => place.clear());
  const nothing = { VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' };

  it(
    'says in one line what to install if there is no driver',
    needs('Linux', process.platform === 'linux'),
    async () => {
      const ended = await place.start(['launch', '--backend', 'webgpu'], nothing).ended;
      expect(ended).toMatchObject({ code: 2, stdout: '' });
      expect(ended.stderr.trim()).toMatch(/^pod-dist: webgpu finds no GPU here: install a Vulkan driver.*$/);
    },
  );

  it(
    'rejects an unknown POD_DIST_WEBGPU_ADAPTER with its name',
    needs('a Vulkan driver for webgpu', available),
    async () => {
      const ended = await place.start(['launch', '--backend', 'webgpu'], {
        POD_DIST_WEBGPU_ADAPTER: 'no such card',
      }).ended;
      expect(ended).toMatchObject({ code: 2 });
      expect(ended.lastLine).toContain('POD_DIST_WEBGPU_ADAPTER=no such card');
    },
  );
});
