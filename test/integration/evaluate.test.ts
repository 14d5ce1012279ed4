import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluationSchema } from '../../src/evaluation/schema.js';
import { writeImage } from '../data/images.js';
import { Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

describe('pod-dist evaluate', () => {
  beforeAll(async () => {
    const ended = await place.ask(
      ...['launch', '--backend', 'wasm', '--epochs', '3', '--out', 'softmax'],
      ...['--set', 'loss.name=softmax', '--set', 'learningRate.rate=0.1'],
    );
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    for (let level = 0; level < 12; level++)
      await writeImage(place.path('strangers', level % 3 ? 'grey' : '.', `${level}.png`), [
        20 * level,
        20 * level,
        20 * level,
      ]);
  });

  const evaluate = (...args: string[]) =>
    place.ask('evaluate', '--checkpoint', 'softmax', '--backend', 'wasm', ...args);

  it('measures accuracy by logits and angles to class vectors for a trained classifier', () => {
    const evaluation = place.evaluation('softmax');
    expect(evaluation.total).toBe(360);
    expect(evaluation.correct).toBe(place.report('softmax').evalCorrect);
    expect(evaluation.topK.correct).toBeGreaterThan(evaluation.correct);
    expect(evaluation.angles.own.mean as number).toBeLessThan(85);
    expect(evaluation.angles.other.mean as number).toBeLessThan(85);
    expect(evaluation.reliability.separation as number).toBeGreaterThan(0.5);
  });

  it('compares unknown with known images, with the same result for one worker and three', async () => {
    const [one, three] = [
      await evaluate('--unknown', 'strangers', '--json', '--out', 'with-strangers.json'),
      await evaluate('--unknown', 'strangers', '--json', '-n', '3'),
    ];
    expect([one.code, three.code], one.stderr + three.stderr).toEqual([0, 0]);
    expect(three.stdout).toBe(one.stdout);
    const { unknown } = evaluationSchema.parse(JSON.parse(one.stdout)).rejection;
    expect(unknown).toMatchObject({ folder: 'strangers', images: 12 });
    expect(unknown?.auroc as number).toBeGreaterThan(0);
  });

  it('leaves no files when it is stopped with two workers', async () => {
    const args = ['evaluate', '--checkpoint', 'softmax', '--backend', 'wasm', '-n', '2'];
    const command = place.start(args);
    await command.worker(1);
    command.child.kill('SIGTERM');
    expect(await command.ended).toMatchObject({ code: 143, lastLine: expect.stringContaining('stopped') });
    expect(place.leftovers()).toEqual([]);
  });

  it('averages each image with its mirror image with evaluation.mirror', async () => {
    const mirror = ['--set', 'evaluation.mirror=true'];
    const [one, three] = [
      await evaluate(...mirror, '--json'),
      await evaluate(...mirror, '--json', '-n', '3'),
    ];
    expect([one.code, three.code], one.stderr + three.stderr).toEqual([0, 0]);
    expect(three.stdout).toBe(one.stdout);
    const mirrored = evaluationSchema.parse(JSON.parse(one.stdout));
    expect(mirrored.mirrored).toBe(true);
    expect(mirrored.norms.mean).not.toBe(place.evaluation('softmax').norms.mean);
    expect((await evaluate(...mirror)).stdout).toMatch(
      /360 test images, 10 classes, each image with its mirror/,
    );
  });

  it('prints tables of its results', async () => {
    const { code, stdout } = await evaluate('--unknown', 'strangers');
    expect(code).toBe(0);
    expect(stdout).toMatch(/accuracy \(top-1\) +│ [\d.]+ % \(\d+\/360\)/);
    expect(stdout).toMatch(/known against unknown images \(AUROC\) +│ [\d.]+ \(12 unknown\)/);
    expect(stdout).toMatch(/│ 9 +│ 36 +│ \d+ +│ [\d.]+ % +│ [\d.]+° /);
  });

  it('rejects missing or invalid unknown images before it starts workers', async () => {
    const nowhere = await evaluate('--unknown', 'nowhere');
    expect(nowhere).toMatchObject({
      code: 2,
      lastLine: expect.stringMatching(/the folder nowhere does not exist: evaluation\.unknown must hold/),
    });
    mkdirSync(place.path('notes'));
    writeFileSync(place.path('notes', 'a.txt'), '');
    const notes = await evaluate('--unknown', 'notes', '-n', '2');
    expect(notes).toMatchObject({
      code: 2,
      lastLine: expect.stringContaining('notes/a.txt is no .jpg, .png or'),
    });
  });
});
