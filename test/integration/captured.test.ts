import { afterAll, describe, expect, it } from 'vitest';
import { findAddon } from '../../src/backend/native/cache.js';
import { needs } from '../needs.js';
import { asFlags, Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

describe(
  'captured steps of two native workers',
  needs('native TensorFlow with operations of its own', findAddon()?.operations),
  () => {
    it.each([
      ['gradients that follow the backward pass', []],
      ['gradients that travel during it', ['distributed.overlap=on', 'distributed.bucketBytes=40000']],
      ['gradients of micro-batches that do', ['distributed.overlap=on', 'accumulate=2']],
    ])('train with %s to the same bits as a graph and operation by operation', async (name, settings) => {
      const train = async (capture: string) => {
        const out = `${name}-${capture}`.replaceAll(' ', '-');
        const set = asFlags(['epochs=2', `capture=${capture}`, ...settings]);
        const ended = await place.run(
          'launch',
          '--workers',
          '2',
          '--backend',
          'native',
          ...set,
          '--out',
          out,
        );
        expect(ended.code, ended.stderr).toBe(0);
        expect(ended.stderr + ended.stdout).not.toContain('operation by operation');
        return {
          weights: place.report(out).weightsSha256,
          losses: place.metrics(out).steps.map(({ loss }) => loss),
        };
      };
      expect(await train('auto')).toEqual(await train('off'));
    });
  },
);
