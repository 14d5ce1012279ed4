import { afterAll, describe, expect, it } from 'vitest';
import { findAddon } from '../../src/backend/native/cache.js';
import { needs } from '../needs.js';
import { Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

describe(
  'two native workers',
  needs('native TensorFlow with operations of its own', findAddon()?.operations),
  () => {
    it.each([
      ['gradients that follow the backward pass', []],
      ['gradients that travel during it', ['distributed.overlap=on', 'distributed.bucketBytes=40000']],
      ['gradients of micro-batches that do', ['distributed.overlap=on', 'accumulate=2']],
    ])('train with %s to the same bits as a graph and operation by operation', async (name, settings) => {
      const own = ['epochs=2', ...settings];
      const flags = own.flatMap((setting) => ['--set', setting]);
      const native = ['--workers', '2', '--backend', 'native'];
      const graph = `${name}-graph`.replaceAll(' ', '-');
      const ended = await place.run('launch', ...native, ...flags, '--out', graph);
      expect(ended.code, ended.stderr).toBe(0);
      expect(ended.stderr + ended.stdout).not.toContain('operation by operation');
      await place.train(2, ['backend=native', 'capture=off', ...own], { out: `${graph}-off` });
      const [actual, wanted] = [graph, `${graph}-off`].map((run) => ({
        weights: place.report(run).weightsSha256,
        losses: place.metrics(run).steps.map(({ loss }) => loss),
      }));
      expect(actual).toEqual(wanted);
    });
  },
);
