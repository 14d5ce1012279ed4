import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { smallModel, Workplace } from './command.js';
import { long } from '../needs.js';

const bundle = fileURLToPath(new URL('../../dist/test/bundle/main.cjs', import.meta.url));

/** Registers the built-in losses pod, which has state, and softmax, which has class weights, under other names. */
const copies = `import { createRequire } from 'node:module';
import { registerLoss, z } from 'pod-dist';

const { losses } = createRequire(import.meta.url)('${bundle}').losses();
for (const loss of ['pod', 'softmax'].map((name) => losses.find(name))) {
  const name = \`my-\${loss.name}\`;
  registerLoss({ ...loss, name, schema: loss.schema.extend({ name: z.literal(name) }) });
}
`;

/** Registers a new loss that imports only pod-dist. */
const squares = `import { meanOverImages, registerLoss, tf, z } from 'pod-dist';

registerLoss({
  name: 'squares',
  schema: z.strictObject({ name: z.literal('squares') }),
  create: (_config, { communicator, targets }) =>
    meanOverImages(communicator, (features, labels) => {
      const difference = tf.sub(features, targets.own(labels));
      return { sum: tf.div(tf.sum(tf.square(difference)), 2), gradients: () => [difference] };
    }),
});
`;

describe('a copy of a built-in loss, registered by a plug-in', () => {
  const place = new Workplace();
  const settings = [smallModel, 'epochs=2', 'batchSize=480', 'run.private=true'];
  const own = [`plugins=[${place.path('copies.mjs')}]`];
  const sha = (run: string) => place.report(run).weightsSha256;
  beforeAll(() => writeFileSync(place.path('copies.mjs'), copies));
  afterAll(() => place.clear());

  async function trainsTheSame(name: string): Promise<void> {
    const bitwise = [...settings, 'distributed.bitwise=2'];
    await place.train(1, [...settings, `loss.name=${name}`], { out: `${name}-1` });
    await place.train(1, [...settings, ...own, `loss.name=my-${name}`], { out: `my-${name}-1` });
    await place.train(2, [...bitwise, `loss.name=${name}`], { out: `${name}-2` });
    await place.train(2, [...bitwise, ...own, `loss.name=my-${name}`], { out: `my-${name}-2` });
    await place.train(1, [...bitwise, ...own, `loss.name=my-${name}`], { out: `my-${name}-bitwise` });
    expect(sha(`my-${name}-1`)).toBe(sha(`${name}-1`));
    expect(sha(`my-${name}-2`)).toBe(sha(`${name}-2`));
    expect(sha(`my-${name}-bitwise`)).toBe(sha(`${name}-2`));
  }

  it('trains POD Loss to the same bits, with one worker, with two workers, and with --bitwise', () =>
    trainsTheSame('pod'));
  it('trains softmax to the same bits, with one worker, with two workers, and with --bitwise', long, () =>
    trainsTheSame('softmax'),
  );

  it('continues from a checkpoint with its state', async () => {
    const run = [...settings, ...own, 'loss.name=my-pod'];
    await place.train(2, [...run, 'epochs=1'], { out: 'halved' });
    await place.train(2, run, { out: 'halved', resume: 'must' });
    await place.train(2, run, { out: 'whole' });
    expect(sha('halved')).toBe(sha('whole'));
    const delta = (of: string) => place.metrics(of).steps.map((step) => step.delta);
    expect(delta('halved')).toEqual(delta('whole'));
  });
});

describe('a plug-in that a recipe names', () => {
  const place = new Workplace();
  const cache = { POD_DIST_CACHE: place.path('cache') };
  const foreign = { POD_DIST_CACHE: place.path('cache-of-another-user') };
  const run = (environment: NodeJS.ProcessEnv, ...args: string[]) => place.start(args, environment).ended;
  const recipe = join('recipes', 'own.yaml');
  const plugin = place.path('recipes', 'squares.mjs');
  beforeAll(async () => {
    mkdirSync(place.path('recipes'));
    writeFileSync(plugin, squares);
    writeFileSync(
      place.path(recipe),
      'extends: digits\nplugins: [./squares.mjs]\nloss: {name: squares}\nmodel: {dim: 16, channels: [4, 8]}\nbatchSize: 480\nepochs: 2\nbackend: wasm\n',
    );
    const ended = await run(cache, 'launch', '--config', recipe, '--workers', '2', '--out', 'run', '--json');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    cpSync(place.path('run'), place.path('given'), { recursive: true });
  });
  afterAll(() => place.clear());

  it('can be used by the user who trained it, and by others only with --allow-module', async () => {
    const evaluate = ['evaluate', '--checkpoint', 'given', '--json'];
    const scored = { code: 0, stdout: expect.stringMatching(/"total":360/) };
    const refused = {
      code: 2,
      lastLine: expect.stringMatching(
        /names a module, .*squares\.mjs, that has not been trained with .* --allow-module/,
      ),
    };
    const ended = await Promise.all([
      run(foreign, ...evaluate),
      run(foreign, 'launch', '--resume', '--out', 'given', '--epochs', '3'),
      run(cache, ...evaluate, '--workers', '2'),
      run(cache, 'export', '--checkpoint', 'given', '--format', 'onnx', '--out', 'exported'),
    ]);
    expect(ended).toMatchObject([refused, refused, scored, { code: 0 }]);
    rmSync(plugin);
    const moved = await Promise.all([
      run(foreign, ...evaluate, '--workers', '2', '--allow-module'),
      run(cache, 'launch', '--resume', '--out', 'run', '--epochs', '3'),
    ]);
    expect(moved, moved[1].stderr).toMatchObject([scored, { code: 0 }]);
    expect(readFileSync(place.path('run', 'config.yaml'), 'utf8')).toContain('plugin-1-squares.mjs');
    writeFileSync(plugin, squares);
  });

  it('that was changed in a checkpoint is rejected even with --allow-module', async () => {
    const copy = place.path('given', 'checkpoints', 'epoch-0002', 'plugin-1-squares.mjs');
    writeFileSync(copy, `console.log('run');\n${squares}`);
    const checkpoint = 'given/checkpoints/epoch-0002';
    const ended = await run(foreign, 'evaluate', '--checkpoint', checkpoint, '--allow-module');
    expect(ended).toMatchObject({
      code: 2,
      stdout: '',
      lastLine: expect.stringMatching(/squares\.mjs has \d+ by/),
    });
  });

  it('that throws ends a command with one line and exit code 2', async () => {
    writeFileSync(place.path('throws.mjs'), 'throw new Error("not today");\n');
    const ended = await run(cache, 'launch', '--set', 'plugins=[throws.mjs]', '--out', 'none', '--json');
    const message = `${place.path('throws.mjs')}: cannot be imported: not today`;
    expect(ended).toMatchObject({
      code: 2,
      stderr: `pod-dist: ${message} (see pod-dist explain PLUGIN_INVALID)\n`,
    });
    expect(JSON.parse(ended.stdout)).toMatchObject({ error: { code: 'PLUGIN_INVALID', message } });
  });
});
