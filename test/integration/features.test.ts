import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Evaluation } from '../../src/evaluation/schema.js';
import type { VerifyResult } from '../../src/launching/verify-run.js';
import { writeFolder } from '../data/images.js';
import { Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

/** Header and body of an .npy file. */
function npy(file: string) {
  const bytes = readFileSync(place.path(file));
  const length = bytes.readUInt16LE(8);
  const body = Uint8Array.from(bytes.subarray(10 + length)).buffer;
  return { header: bytes.toString('latin1', 10, 10 + length).trim(), body };
}

const ask = async (command: string, ...args: string[]) => {
  const ended = await place.ask(command, '--checkpoint', 'run', '--backend', 'wasm', ...args);
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  return ended;
};

describe('features', () => {
  beforeAll(async () => {
    await writeFolder(place.path('images'), ['ada', 'grace', 'joan'], 6);
    await place.train(
      1,
      ['data={name: image-folder, root: images, size: 8}', 'model={name: small-cnn, dim: 6}', 'epochs=1'],
      { out: 'run' },
    );
    cpSync(place.path('images', 'test'), place.path('others'), { recursive: true });
    renameSync(place.path('others', 'grace'), place.path('others', 'Grace'));
    renameSync(place.path('others', 'joan'), place.path('others', 'mary'));
  });

  it('are equal for 1 and 3 workers, with norms, labels and names', async () => {
    const { stdout } = await ask('features', '--root', 'others', '--out', 'one.npy');
    expect(stdout).toBe(
      '18 features of 6 dimensions in one.npy, one.labels.npy, one.norms.npy, one.names.json\n',
    );
    await ask('features', '--root', 'others', '--out', 'three.npy', '-n', '3');
    for (const part of ['', '.labels', '.norms'])
      expect(readFileSync(place.path(`three${part}.npy`))).toEqual(
        readFileSync(place.path(`one${part}.npy`)),
      );
    const { header, body } = npy('one.npy');
    expect(header).toBe("{'descr': '<f4', 'fortran_order': False, 'shape': (18, 6), }");
    const values = new Float32Array(body);
    new Float32Array(npy('one.norms.npy').body).forEach((norm, row) =>
      expect(norm).toBeCloseTo(Math.hypot(...values.subarray(6 * row, 6 * row + 6)), 5),
    );
    const { names, classNames } = JSON.parse(readFileSync(place.path('one.names.json'), 'utf8')) as {
      names: string[];
      classNames: string[];
    };
    expect(classNames).toEqual(['ada', 'grace', 'joan']);
    expect(names.slice(5, 7)).toEqual(['Grace/5.jpg', 'ada/0.png'].toSorted());
    const labels = new Int32Array(npy('one.labels.npy').body);
    names.forEach((name, row) => expect(labels[row]).toBe(name.startsWith('ada/') ? 0 : -1));
  });

  it('of the test images are written in order to a safetensors file', async () => {
    await ask('features', '--out', 'test.safetensors');
    const bytes = readFileSync(place.path('test.safetensors'));
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, unknown>;
    expect(header).toMatchObject({
      features: { dtype: 'F32', shape: [18, 6], data_offsets: [0, 432] },
      labels: { dtype: 'I32', shape: [18], data_offsets: [432, 504] },
      norms: { dtype: 'F32', shape: [18], data_offsets: [504, 576] },
    });
    const labels = new Int32Array(Uint8Array.from(bytes.subarray(8 + length + 432, 8 + length + 504)).buffer);
    expect([...labels]).toEqual([0, 1, 2].flatMap((label) => new Array<number>(6).fill(label)));
    expect(bytes.length).toBe(8 + length + 576);
  });

  it('verify pairs and neighbours, and a pair of a missing image is rejected', async () => {
    const pairs = ['ada', 'Grace', 'mary'].flatMap((name) =>
      [0, 2, 4].flatMap((image) => [
        `${name}/${image}.png ${name}/${image + 1} 1`,
        `${name}/${image} ${name === 'ada' ? 'mary' : 'ada'}/${image}.png 0`,
      ]),
    );
    writeFileSync(place.path('pairs.txt'), `${pairs.join('\n')}\n`);
    const { stdout } = await ask(
      ...(['verify', '--root', 'others', '--pairs', 'pairs.txt', '--neighbours', '3', '--json'] as const),
    );
    const { verification, neighbours, images } = JSON.parse(stdout) as VerifyResult;
    expect(images).toBe(18);
    expect(verification).toMatchObject({ pairs: 18, same: 9, folds: { length: 10 } });
    expect(neighbours).toMatchObject({ count: 3, classes: 3 });
    writeFileSync(place.path('wrong.txt'), `${pairs.join('\n')}\nada/0 ada/99 1\n`);
    const wrong = await place.ask(
      ...['verify', '--checkpoint', 'run', '--backend', 'wasm', '--root', 'others', '--pairs', 'wrong.txt'],
    );
    expect(wrong).toMatchObject({
      code: 2,
      lastLine: expect.stringMatching(/wrong\.txt: there is no image ada\/99 in others \(see /),
    });
  });

  it('are evaluated on a folder with other classes by the classes that match by name', async () => {
    const args = ['--root', 'others', '--json'];
    const [one, two] = [await ask('evaluate', ...args), await ask('evaluate', ...args, '-n', '2')];
    expect(two.stdout).toBe(one.stdout);
    const { total, classTotal } = JSON.parse(one.stdout) as Evaluation;
    expect([total, classTotal]).toEqual([12, [6, 6, 0]]);
    expect(one.stderr).toContain(`${join('others', 'Grace')} is taken for the class grace`);
    expect(one.stderr).toContain('others: mary are left out: the checkpoint does not know them');
    expect(one.stderr).toContain('others has no images of joan');
  });
});
