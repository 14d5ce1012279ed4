import { cpSync, existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Workplace } from './command.js';

const backbone = `export default ({ tf, shape, dim, seed }) => {
  const kernelInitializer = tf.initializers.heNormal({ seed });
  return tf.sequential({ layers: [
    tf.layers.flatten({ inputShape: shape }),
    tf.layers.dense({ units: dim, kernelInitializer }),
  ] });
};
`;

describe("a run with a user's backbone", () => {
  const place = new Workplace();
  const own = { POD_DIST_CACHE: place.path('cache') };
  const foreign = { POD_DIST_CACHE: place.path('cache-of-another-user') };
  const run = (environment: NodeJS.ProcessEnv, ...args: string[]) => place.start(args, environment).ended;
  const train = ['launch', '--backend', 'wasm', '--set', 'batchSize=480', '--epochs', '2', '--out', 'run'];
  beforeAll(async () => {
    writeFileSync(place.path('backbone.mjs'), backbone);
    const model = ['--set', 'model={name: module, path: backbone.mjs, dim: 16}'];
    const ended = await run(own, ...train, ...model);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    cpSync(place.path('run'), place.path('given'), { recursive: true });
  });
  afterAll(() => place.clear());

  const scored = { code: 0, stdout: expect.stringMatching(/"total":360/) };

  it('is evaluated by the user who trained it, and by others only with --module', async () => {
    const evaluate = ['evaluate', '--checkpoint', 'given', '--json'];
    expect(await run(own, ...evaluate)).toMatchObject(scored);
    const refused = {
      code: 2,
      lastLine: expect.stringMatching(
        /names a module, .*backbone\.mjs, that has not been trained with on this/,
      ),
    };
    for (const args of [
      evaluate,
      ['export', '--checkpoint', 'given', '--format', 'onnx', '--out', 'exported'],
    ])
      expect(await run(foreign, ...args)).toMatchObject(refused);
    expect(await run(foreign, 'launch', '--resume', '--out', 'given', '--epochs', '3')).toMatchObject(
      refused,
    );
    expect(await run(foreign, ...evaluate, '--module', 'backbone.mjs')).toMatchObject(scored);
  });

  it('is evaluated without the original module, by others only with --allow-module and an unchanged copy', async () => {
    rmSync(place.path('backbone.mjs'));
    const evaluate = ['evaluate', '--checkpoint', 'given', '--json'];
    expect(await run(own, ...evaluate)).toMatchObject(scored);
    expect(await run(foreign, ...evaluate, '--allow-module', '-n', '2')).toMatchObject(scored);
    const copy = place.path('given', 'checkpoints', 'epoch-0002', 'backbone.mjs');
    writeFileSync(copy, readFileSync(copy, 'utf8').replace('export', 'console.log("run");export'));
    const changed = await run(
      foreign,
      'evaluate',
      '--checkpoint',
      'given/checkpoints/epoch-0002',
      '--allow-module',
    );
    expect(changed).toMatchObject({
      code: 2,
      lastLine: expect.stringMatching(/backbone\.mjs has \d+ bytes, not/),
    });
    writeFileSync(copy, backbone);
  });

  it('that ended before its report is finished by --resume, without writing outside the run folder', async () => {
    const report = place.report('run');
    const evaluation = place.evaluation('run');
    const { epochs, steps } = place.metrics('run');
    const complete = await run(own, ...train, '--resume');
    expect(complete).toMatchObject({
      code: 2,
      lastLine: expect.stringContaining('already trained 2 of 2 epochs'),
    });
    for (const lost of ['report.json', 'evaluation.json', 'checkpoints/epoch-0002/evaluation.json'])
      rmSync(place.path('run', lost));
    writeFileSync(
      place.path('run', 'metrics.jsonl'),
      [...steps, epochs[0]].map((record) => `${JSON.stringify(record)}\n`).join(''),
    );
    const config = place.path('run', 'config.yaml');
    writeFileSync(config, `${readFileSync(config, 'utf8')}trace: ${place.path('stolen.json')}\n`);
    const finished = await run(own, 'launch', '--resume', '--out', 'run');
    expect(finished, finished.stderr).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/trace \S+stolen\.json lies outside the run folder, passed over/),
    });
    expect(existsSync(place.path('stolen.json'))).toBe(false);
    expect(place.evaluation('run')).toEqual(evaluation);
    const { weightsSha256, evalCorrect } = report;
    expect(place.report('run')).toMatchObject({ weightsSha256, evalCorrect, epochs: 2, samplesPerSecond: 0 });
    const again = place.metrics('run');
    expect(again.steps).toEqual(steps);
    expect(again.epochs.map(({ epoch, evalCorrect: right, trainLoss }) => [epoch, right, trainLoss])).toEqual(
      epochs.map(({ epoch, evalCorrect: right, trainLoss }) => [epoch, right, trainLoss]),
    );
    expect(readdirSync(place.path('run', 'checkpoints', 'epoch-0002'))).toContain('evaluation.json');

    rmSync(place.path('run', 'report.json'));
    symlinkSync(place.path('elsewhere.json'), place.path('run', 'report.json'));
    const linked = await run(own, 'launch', '--resume', '--out', 'run', '--epochs', '3');
    expect(linked).toMatchObject({
      code: 2,
      lastLine: expect.stringContaining('is a link out of the run folder'),
    });
  });
});
