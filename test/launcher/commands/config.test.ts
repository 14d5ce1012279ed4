import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/config/load.js';
import { shippedRecipes } from '../../../src/config/recipe.js';
import { Workplace } from '../../integration/command.js';

const place = new Workplace();
const { folder } = place;
const config = (...args: string[]) => place.ask('config', ...args);
afterAll(() => place.clear());

describe('pod-dist config', () => {
  it('list prints the shipped recipes', async () => {
    const { stdout } = await config('list');
    for (const name of shippedRecipes()) expect(stdout).toContain(` ${name} `);
    const listed = JSON.parse((await config('list', '--json')).stdout) as object[];
    expect(listed).toContainEqual({
      ...{ name: 'digits', data: 'digits', model: 'small-cnn', dim: 64, loss: 'pod' },
      ...{ epochs: 30, batchSize: 96 },
    });
  });

  it('settings lists the settings of a section', async () => {
    const { stdout, stderr } = await config('settings', 'loss.delta');
    expect(stderr).toBe('');
    const paths = stdout.split('\n').flatMap((line) => /^\S+/.exec(line) ?? []);
    expect(paths).toEqual(['schedule', 'initial', 'scale', 'source'].map((key) => `loss.delta.${key}`));
    const [batchSize] = JSON.parse((await config('settings', 'batchSize', '--json')).stdout) as object[];
    expect(batchSize).toMatchObject({ path: 'batchSize', forms: [{ default: 64 }] });
  });

  it.each([
    ['los', /there is no setting los: did you mean loss\?/],
    ['data.augmnt', /did you mean data\.augment\?/],
    ['zzzzzzzz', /known are name, seed, .*distributed \(see /],
  ])('settings rejects %s', async (section, message) => {
    const { code, stdout, stderr } = await config('settings', section);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });

  it('show prints a recipe merged with its base, which loads as the same configuration', async () => {
    writeFileSync(join(folder, 'own.yaml'), 'extends: digits\nname: own\nepochs: 3\n');
    const { stdout } = await config('show', 'own.yaml', '--set', 'optimizer.nesterov=true');
    expect(parse(stdout)).toMatchObject({ name: 'own', epochs: 3, optimizer: { nesterov: true } });
    writeFileSync(join(folder, 'whole.yaml'), stdout);
    const file = join(folder, 'own.yaml');
    const loaded = loadConfig({ file, set: ['optimizer.nesterov=true'] });
    expect(loadConfig({ file: join(folder, 'whole.yaml') })).toEqual(loaded);
    const shown = await config('show', 'own.yaml', '--json', '--set', 'optimizer.nesterov=true');
    expect(JSON.parse(shown.stdout)).toEqual(loaded);
  });

  it('show rejects an invalid recipe', async () => {
    writeFileSync(join(folder, 'wrong.yaml'), 'extends: digits\nepoch: 3\n');
    const { code, stdout, stderr } = await config('show', 'wrong.yaml');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/unknown key epoch; did you mean epochs\?/);
  });

  it('schema prints a JSON Schema', async () => {
    const schema = JSON.parse((await config('schema')).stdout) as { properties: object };
    expect(Object.keys(schema.properties)).toContain('extends');
  });
});
