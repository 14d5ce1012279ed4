import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { recipeFileSchema } from '../../src/config/json-schema.js';

const validate = new Ajv2020({ strict: false }).compile(recipeFileSchema());
const folder = new URL('../../configs/', import.meta.url);

describe('recipeFileSchema', () => {
  it.each(readdirSync(folder))('accepts %s', (file) => {
    validate(parse(readFileSync(new URL(file, folder), 'utf8')));
    expect(validate.errors).toBeNull();
  });

  it.each([
    'extends: digits\nepochs: 3\n',
    'extends: cifar10-resnet20\ndata: {root: ./faces, size: 64}\nmodel: {dim: 256}\n',
    'loss: {name: arcface, scale: 30}\n',
  ])('accepts a part of a recipe: %j', (text) => expect(validate(parse(text))).toBe(true));

  it.each([
    'epoch: 3\n',
    'epochs: many\n',
    'loss: {name: arcface, lambda: 1}\n',
    'optimizer: {momentun: 0.9}\n',
    'data: {name: mnits}\n',
    'extends: [digits]\n',
  ])('rejects %j', (text) => expect(validate(parse(text))).toBe(false));
});
