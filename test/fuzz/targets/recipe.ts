import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config/load.js';
import { findRecipe, shippedRecipes } from '../../../src/config/recipe.js';
import { configSchema } from '../../../src/config/schema.js';
import { Broken, type Target } from '../judge.js';
import { anyJson, disturbed, mutated } from '../mutations.js';

const shipped = shippedRecipes().map((name) => readFileSync(findRecipe(name)));

/** Features of YAML besides keys and values. */
const traps = [
  'a: &a [1, 2]\nb: *a\n',
  'a: &a {b: 1}\nc: {<<: *a, d: 2}\n',
  'a: !!binary aGVsbG8=\nb: !!set {x, y}\nc: !!js/function "x"\n',
  'a: &x [*x]\n',
  '? [complex, key]\n: value\n',
  '%YAML 1.1\n---\na: yes\n---\nb: 2\n',
  'l1: &l1 [a, a, a, a]\nl2: &l2 [*l1, *l1, *l1, *l1]\nl3: &l3 [*l2, *l2, *l2, *l2]\nl4: [*l3, *l3, *l3]\n',
  'extends: digits\nepochs: 3\n__proto__: {polluted: 1}\nconstructor: {prototype: {polluted: 1}}\n',
  'extends: [digits]\n',
  'extends: nowhere\nmodel: {name: module, path: ./own.mjs}\n',
].map((text) => Buffer.from(text));

const words = [
  'extends: ',
  '&a ',
  '*a',
  '<<: ',
  '!!',
  '? ',
  '- ',
  '{',
  '}',
  '[',
  ']',
  '|\n',
  '>\n',
  '\t',
  '...\n',
  '---\n',
];

const settings = configSchema.parse({
  data: { name: 'digits' },
  model: { name: 'small-cnn' },
  learningRate: { schedule: 'constant', rate: 0.1 },
});

const texts = fc.oneof(
  mutated([...shipped, ...traps], { words }),
  disturbed([
    settings,
    { extends: 'digits', epochs: 2 },
    { extends: 'cifar10-resnet20', data: { root: 'x' } },
  ]).map((value) => Buffer.from(stringify(value, { aliasDuplicateObjects: false }))),
  anyJson().map((value) => Buffer.from(JSON.stringify(value))),
);

/** An untrusted recipe, with --set of a user. */
export const recipe: Target<{ text: Buffer; set: string[] }> = {
  name: 'recipe',
  codes: ['CONFIG_INVALID', 'CONFIG_NOT_FOUND'],
  inputs: fc.record({
    text: texts,
    set: fc.array(assignments(), { maxLength: 2, size: 'small' }),
  }),
  read({ text, set }, folder) {
    const file = join(folder, 'recipe.yaml');
    writeFileSync(file, text);
    const config = loadConfig({ file, set });
    if (!configSchema.safeParse(config).success)
      throw new Broken('a configuration that its own schema refuses');
  },
};

function assignments(): fc.Arbitrary<string> {
  const section = fc.constantFrom(
    'data',
    'model',
    'optimizer',
    'loss',
    'epochs',
    'name',
    '__proto__',
    'constructor',
    '',
  );
  const key = fc
    .array(fc.oneof(section, fc.string({ maxLength: 6 })), { maxLength: 4 })
    .map((parts) => parts.join('.'));
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom(...traps.map(String)),
    anyJson().map((json) => JSON.stringify(json)),
  );
  return fc.tuple(key, value).map(([name, text]) => `${name}=${text}`);
}
