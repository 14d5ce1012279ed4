import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { importPlugins } from '../../src/config/plugins.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
mkdirSync(join(folder, 'parts'));
afterAll(() => rmSync(folder, { recursive: true }));

let written = 0;

function recipe(text: string, ending = 'ts', name = `recipe-${written++}`): string {
  const file = join(folder, `${name}.${ending}`);
  writeFileSync(file, text);
  return file;
}

async function load(file: string, set: string[] = []) {
  await importPlugins({ file, set });
  return loadConfig({ file, set });
}

describe('a recipe in code', () => {
  it('gives the configuration of the same settings in YAML, with imports, extends and --set', async () => {
    recipe(
      'export enum Size { small = 8 }\nexport const dim: number = 2 * Size.small;\n',
      'ts',
      'parts/sizes',
    );
    const file = recipe(
      `import { defineRecipe, UserError } from 'pod-dist';
       import { dim } from './parts/sizes.ts';
       const epochs: number = await Promise.resolve(40);
       if (new UserError('USAGE', '').name !== 'UserError') throw new Error('not pod-dist');
       export default defineRecipe({
         extends: 'parts/base.yaml',
         epochs,
         seed: undefined,
         model: { name: 'module', path: './backbone.mjs', dim },
         learningRate: { schedule: 'step', rate: 0.5, epochs: [0.5, 0.75].map((share) => share * epochs) },
       });`,
    );
    recipe('extends: digits\nbatchSize: 32\n', 'yaml', 'parts/base');
    const same = recipe(
      'extends: parts/base.yaml\nepochs: 40\nmodel: {name: module, path: ./backbone.mjs, dim: 16}\n' +
        'learningRate: {schedule: step, rate: 0.5, epochs: [20, 30]}\n',
      'yaml',
    );
    const set = ['learningRate.factor=0.2'];
    expect(await load(file, set)).toEqual(await load(same, set));
    expect((await load(file)).model).toMatchObject({ path: join(folder, 'backbone.mjs'), dim: 16 });
  });

  it('can be written in JavaScript', async () => {
    for (const ending of ['js', 'mjs', 'mts'])
      expect(await load(recipe(`export default { extends: 'digits', epochs: 7 }`, ending))).toMatchObject({
        ...{ name: 'digits', epochs: 7 },
      });
  });

  it('is rejected with its file and mistake in one line', async () => {
    const wrong: [text: string, message: RegExp][] = [
      ['export default { epochs: ', /cannot be imported: .*Unexpected token/],
      ['throw new Error("oh\\nno");', /cannot be imported: oh no$/],
      ['import { a } from "./nowhere.js"; export default a;', /cannot be imported: .*nowhere/],
      ['export const recipe = {};', /its default export must be an object of settings/],
      ['export default () => ({});', /its default export must be an object of settings/],
      ['export default { extends: "digits", epochs: () => 3 };', /epochs must be text, a number, true/],
      ['export default { extends: "digits", data: { size: 3n } };', /data\.size must be text, a number/],
      ['const a: any = {}; a.a = a; export default a;', /is more than 50 levels deep/],
      ['export default { extends: 3 };', /extends is the path of one recipe/],
      ['export default { extends: "digitts" };', /extends: .*did you mean digits\?/],
      ['export default { extends: "digits", epochs: NaN };', /epochs: Invalid input: .*NaN/],
      [
        'export default { extends: "digits", data: { augment: { flop: true } } };',
        /unknown key data\.augment\.flop; did you mean flip\?/,
      ],
    ];
    for (const [text, message] of wrong) {
      const file = recipe(text);
      const failed = await load(file).catch((error: unknown) => error as Error);
      expect(failed).toMatchObject({ name: 'UserError', code: expect.stringMatching(/^CONFIG_/) });
      const line = (failed as Error).message;
      expect(line).toMatch(message);
      expect(line).toContain(file);
      expect(line).not.toContain('\n');
    }
    await expect(load(join(folder, 'none.ts'))).rejects.toMatchObject({ code: 'CONFIG_NOT_FOUND' });
    await expect(load(folder.replace(/$/, '/parts.ts'))).rejects.toMatchObject({ code: 'CONFIG_NOT_FOUND' });
  });

  it('runs only if --config names it', async () => {
    const code = recipe('throw new Error("it has run");');
    const file = recipe(`extends: ${code}\n`, 'yaml');
    await expect(load(file)).rejects.toThrow(
      /\.yaml:1:1: extends: .*\.ts is code, which runs only where --config names it/,
    );
  });
});
