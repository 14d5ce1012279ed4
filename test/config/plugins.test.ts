import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { jsonSchema } from '../../src/config/json-schema.js';
import { loadConfig } from '../../src/config/load.js';
import { checkPlugins, importPlugins, registerLoss } from '../../src/config/plugins.js';
import { configSchema, storedSchema } from '../../src/config/schema.js';
import { listSettings } from '../../src/config/settings.js';
import { losses } from '../../src/losses/index.js';
import { UserError } from '../../src/util/errors.js';
import { z } from 'zod';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a plug-in that registers a loss; `changes` are added to its valid fields. */
function plugin(file: string, name: string, changes = ''): string {
  const path = join(folder, file);
  writeFileSync(
    path,
    `import { meanOverImages, registerLoss, tf, z } from 'pod-dist';
registerLoss({
  name: '${name}',
  schema: z.object({ name: z.literal('${name}'), weight: z.number().default(2).describe('how much') }),
  create: (_config, { communicator }) =>
    meanOverImages(communicator, (rows) => ({ sum: tf.sum(rows), gradients: () => [tf.onesLike(rows)] })),
  ${changes}
});
`,
  );
  return path;
}

async function mistake(text: string, file = 'mistake.mjs'): Promise<UserError> {
  const path = join(folder, file);
  writeFileSync(path, text);
  const before = losses.names;
  const error: unknown = await importPlugins({ set: [`plugins=[${path}]`] }).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(UserError);
  expect(losses.names).toEqual(before);
  expect((error as UserError).message).not.toContain('\n');
  expect((error as UserError).message.startsWith(path)).toBe(true);
  return error as UserError;
}

describe('a plug-in', () => {
  it('is imported relative to the recipe, and extends schema, suggestions and the list of settings', async () => {
    plugin('first.mjs', 'first');
    const recipe = join(folder, 'recipe.yaml');
    writeFileSync(recipe, 'extends: digits\nplugins: [./first.mjs]\nloss: {name: first}\n');
    expect(() => loadConfig({ file: recipe })).toThrow(
      /loss\.name: there is no first; .*known are pod, softmax/,
    );
    await importPlugins({ file: recipe });
    await importPlugins({ file: recipe });
    const set = ['loss.weight=0.5'];
    expect(loadConfig({ file: recipe, set })).toMatchObject({
      plugins: [join(folder, 'first.mjs')],
      loss: { name: 'first', weight: 0.5 },
    });
    expect(() => loadConfig({ file: recipe, set: ['loss.wieght=1'] })).toThrow(
      '--set loss.wieght=1: unknown key loss.wieght; did you mean weight?',
    );
    expect(() => loadConfig({ file: recipe, set: ['loss.name=fist'] })).toThrow(/did you mean first\?/);
    expect(loadConfig({ file: recipe, set: ['loss.name=pod'] }).loss).toMatchObject({ name: 'pod' });
    const described = listSettings().find(({ path }) => path === 'loss.weight');
    expect(described?.forms).toContainEqual(expect.objectContaining({ of: ['first'], default: 2 }));
    expect(JSON.stringify(jsonSchema())).toContain('"how much"');
  });

  it('can be named by --set and registered again by an equal file, but not by a changed one', async () => {
    const path = plugin('second.mjs', 'second');
    const set = [`plugins=[${path}]`, 'loss.name=second'];
    await importPlugins({ set });
    expect(loadConfig({ set }).loss).toEqual({ name: 'second', weight: 2 });
    plugin('again.mjs', 'second');
    await importPlugins({ set: [`plugins=[${join(folder, 'again.mjs')}]`] });
    const changed = plugin('second.mjs', 'second', '// changed');
    await expect(importPlugins({ set: [`plugins=[${changed}]`] })).rejects.toMatchObject({
      code: 'PLUGIN_INVALID',
      message: expect.stringMatching(/second\.mjs has changed since this process has imported it/),
    });
  });

  it('that is missing, throws or registers nothing is rejected in one line', async () => {
    const missing = importPlugins({ set: [`plugins=[${join(folder, 'gone.mjs')}]`] });
    await expect(missing).rejects.toMatchObject({
      code: 'PLUGIN_NOT_FOUND',
      message: /no plug-in .*gone\.mjs/,
    });
    const cases: [string, string, RegExp][] = [
      ['throws', 'throw new Error("out of\\n order");', /cannot be imported: out of order$/],
      ['syntax', 'export {', /cannot be imported: /],
      ['nothing', 'export default 1;', /registers nothing: it calls registerLoss/],
      ['import', "import 'not-there';", /cannot be imported: Cannot find package 'not-there'/],
    ];
    for (const [name, text, message] of cases)
      expect(await mistake(text, `${name}.mjs`)).toMatchObject({
        code: 'PLUGIN_INVALID',
        message: expect.stringMatching(message),
      });
  });

  it('that fails after its first registration registers nothing', async () => {
    const text = `import { registerLoss, z } from 'pod-dist';
registerLoss({ name: 'half', schema: z.object({ name: z.literal('half') }), create() {} });
registerLoss({ name: 'pod', schema: z.object({ name: z.literal('pod') }), create() {} });`;
    const { code, message } = await mistake(text, 'half.mjs');
    expect([code, message]).toEqual([
      'PLUGIN_INVALID',
      expect.stringMatching(/: loss pod is registered already, by pod-dist itself: choose another name$/),
    ]);
    expect(configSchema.shape.loss.safeParse({ name: 'half' }).success).toBe(false);
  });

  const bad: [string, string, RegExp][] = [
    ['registerLoss', '1', /a loss is registered as one object/],
    ['registerLoss', '{}', /the name of a loss is letters, digits, dots and dashes, not undefined/],
    ['registerLoss', "{ name: '../x' }", /the name of a loss is .* not "\.\.\/x"/],
    ['registerLoss', "{ name: 'x' }", /loss x: schema must be a z\.strictObject\(\{ name: z\.literal\('x'\)/],
    ['registerLoss', "{ name: 'x', schema: z.string() }", /loss x: schema must be/],
    [
      'registerLoss',
      "{ name: 'x', schema: z.object({}) }",
      /loss x: the name in its schema must be z\.literal\('x'\)/,
    ],
    ['registerLoss', "{ name: 'x', schema: named('y') }", /loss x: the name in its schema must be/],
    [
      'registerLoss',
      "{ name: 'x', schema: named('x') }",
      /loss x: create must be a function of \(config, \{ comm/,
    ],
    [
      'registerLoss',
      "{ name: 'x', schema: named('x'), create() {}, classWeights: true }",
      /classWeights must be/,
    ],
    [
      'registerBackbone',
      "{ name: 'x', schema: named('x'), build() {} }",
      /backbone x: its schema lacks dim: /,
    ],
    [
      'registerBackbone',
      "{ name: 'x', schema: named('x', { dim: z.int() }) }",
      /backbone x: build must be a fun/,
    ],
    [
      'registerDataset',
      "{ name: 'x', schema: named('x'), open() {} }",
      /data set x: its schema lacks augment, /,
    ],
    [
      'registerDataset',
      "{ name: 'x', schema: named('x', storedSettings) }",
      /data set x: open must be a function/,
    ],
  ];
  it.each(bad)('with %s(%s) is rejected', async (register, object, message) => {
    const text = `import { ${register}, storedSettings, z } from 'pod-dist';
const named = (name, more = {}) => z.strictObject({ name: z.literal(name), ...more });
${register}(${object});`;
    const file = `bad-${bad.findIndex(([, one]) => one === object)}-${register}.mjs`;
    expect(await mistake(text, file)).toMatchObject({
      code: 'PLUGIN_INVALID',
      message: expect.stringMatching(message),
    });
  });

  it('must be listed in plugins, and a loss registered without a plug-in is rejected, if other processes need it', async () => {
    const path = plugin('third.mjs', 'third');
    await importPlugins({ set: [`plugins=[${path}]`] });
    const named = loadConfig({ set: [`plugins=[${path}]`, 'loss.name=third', 'workers=2'] });
    expect(() => checkPlugins(named)).not.toThrow();
    expect(() => checkPlugins({ ...named, plugins: [] })).toThrow(
      /registered by .*third\.mjs: add this file to/,
    );
    const schema = z.strictObject({ name: z.literal('inline') });
    registerLoss({ name: 'inline', schema, create: () => ({ compute: () => ({}) as never }) });
    const here = loadConfig({ set: ['loss.name=inline'] });
    expect(() => checkPlugins(here)).not.toThrow();
    expect(() => checkPlugins({ ...here, workers: 2 })).toThrow(/inline is registered in this process alone/);
  });
});

describe('storedSchema', () => {
  const base = JSON.parse(JSON.stringify(loadConfig({}))) as Record<string, unknown>;
  const stored = (changes: object) => {
    const settings = { ...base, ...changes };
    return storedSchema(settings).safeParse(settings);
  };

  it('accepts unknown kinds if the settings have plug-ins', () => {
    const foreign = { plugins: ['/there/loss.mjs'], loss: { name: 'foreign', any: [1] } };
    expect(stored(foreign)).toMatchObject({ success: true, data: foreign });
    expect(stored({ ...foreign, plugins: [] }).success).toBe(false);
    expect(stored({ ...foreign, loss: { name: 'softmax', any: 1 } }).success).toBe(false);
  });
});
