import { cpSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileURLToPath } from 'node:url';
import { writeImage } from '../data/images.js';
import type { Evaluation } from '../../src/evaluation/schema.js';
import { Workplace } from './command.js';

/** Results of the earlier version after a third epoch. */
const thirdEpoch = {
  evalCorrect: 127,
  weightsSha256: 'f8e13408de67855cff461087cb2943333a575056ed5b04f0b1e4ca3211a96585',
};

describe('a run of two epochs by an earlier version, with a checkpoint of format 1', () => {
  const place = new Workplace();
  beforeAll(() =>
    cpSync(fileURLToPath(new URL('../checkpoint/format-1', import.meta.url)), place.path('run'), {
      recursive: true,
    }),
  );
  afterAll(() => place.clear());

  it('is evaluated with the same result as by that version', async () => {
    const { code, stdout, stderr } = await place.run(
      'evaluate',
      '--checkpoint',
      'run',
      '--backend',
      'wasm',
      '--json',
    );
    expect(code, stderr).toBe(0);
    const { correct, total } = JSON.parse(stdout) as Evaluation;
    expect([correct, total]).toEqual([place.report('run').evalCorrect, 360]);
  });

  it('can be used by predict, export and report', async () => {
    await writeImage(place.path('one.png'), [200, 200, 200]);
    const exported = (format: string) => [
      'export',
      '--checkpoint',
      'run',
      '--format',
      format,
      '--out',
      format,
    ];
    const ended = await Promise.all([
      place.run('predict', '--checkpoint', 'run', '--top', '1', 'one.png'),
      ...['tfjs', 'onnx', 'safetensors'].map((format) => place.run(...exported(format))),
      place.run('report', 'run'),
    ]);
    expect(ended.map(({ code, stderr }) => [code, stderr])).toEqual(ended.map(() => [0, '']));
    expect(ended[0].stdout).toMatch(/^one\.png: \d -?\d\.\d{4}\n$/);
  });

  it('continues to the same bits as with that version', async () => {
    const ended = await place.run('launch', '--resume', '--out', 'run', '--epochs', '3');
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toBe('changed since the checkpoint: epochs 2 -> 3\n');
    expect(place.report('run')).toMatchObject(thirdEpoch);
  });
});
