import { afterAll, describe, expect, it } from 'vitest';
import { obstacleToBf16 } from '../../src/backend/native/bf16-support.js';
import { findAddon } from '../../src/backend/native/cache.js';
import { needs } from '../needs.js';
import { Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

it('launch rejects bf16 on wasm in one line', async () => {
  const ended = await place.ask('launch', '--backend', 'wasm', '--precision', 'bf16', '--out', 'refused');
  expect(ended).toMatchObject({
    code: 2,
    lastLine: expect.stringMatching(/wasm computes in float32 alone; give/),
  });
});

describe(
  'bf16',
  needs('native TensorFlow and instructions for bf16', findAddon()?.operations && !obstacleToBf16()),
  () => {
    const settings = ['backend=native', 'precision=bf16', 'epochs=1'];
    const train = async (workers: number, others: readonly string[], out: string) => {
      await place.train(workers, [...settings, ...others], { out });
      return { weights: place.report(out).weightsSha256, evaluation: place.evaluation(out) };
    };

    it('gives 1, 2 and 4 workers the same bits, with and without graphs', async () => {
      const bits = 'distributed.bitwise=4';
      const one = await train(1, [bits], 'one');
      expect(await train(4, [bits], 'four')).toEqual(one);
      expect(await train(2, [bits, 'capture=off'], 'singly')).toEqual(one);
    });

    it('is used to evaluate a checkpoint if the backend supports it, and --resume can change it', async () => {
      await train(1, [], 'run');
      const evaluate = (...args: string[]) => place.ask('evaluate', '--checkpoint', 'run', '--json', ...args);
      const [native, narrow, wide, wasm] = [
        await evaluate('--backend', 'native'),
        await evaluate('--backend', 'native', '-n', '2'),
        await evaluate('--backend', 'native', '--set', 'precision=float32'),
        await evaluate('--backend', 'wasm'),
      ];
      const { angles } = place.evaluation('run');
      expect(JSON.parse(native.stdout)).toMatchObject({ angles });
      expect(narrow.stdout).toBe(native.stdout);
      expect(wide.stdout).not.toBe(native.stdout);
      expect(native.stderr + wide.stderr).not.toContain('float32');
      expect(wasm).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('the model was trained in bf16 and computes in float32 here: '),
      });
      const resumed = await place.ask(
        ...['launch', '--backend', 'native', '--resume', '--out', 'run'],
        ...['--precision', 'float32', '--epochs', '2'],
      );
      expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
      expect(resumed.stderr).toContain('precision bf16 -> float32');
    });

    it('is rejected if ONEDNN_MAX_CPU_ISA excludes bf16', async () => {
      const args = ['launch', '--backend', 'native', '--precision', 'bf16', '--out', 'slower'];
      const ended = await place.start(args, { ONEDNN_MAX_CPU_ISA: 'AVX2' }).ended;
      expect(ended).toMatchObject({
        code: 2,
        lastLine: expect.stringMatching(/ONEDNN_MAX_CPU_ISA is AVX2.*takes longer.*give precision float32/),
      });
    });
  },
);
