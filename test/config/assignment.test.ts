import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { readAssignment } from '../../src/config/assignment.js';
import { loadConfig } from '../../src/config/load.js';

/** Texts that YAML would read as something else. */
const texts = [
  ...[
    'faces #2',
    '2024',
    'yes',
    'null',
    '~',
    '~/x',
    '[a]',
    '{a: b}',
    'a: b',
    '1e3',
    '0x10',
    '.inf',
    '2024-11-28',
  ],
  ...[
    '"quoted"',
    "'quoted'",
    '"half',
    'C:\\Users\\ada\\faces',
    ' led and trailed ',
    '- a',
    '& b',
    '*c',
    '!d',
    '%e',
  ],
  ...[
    '@f',
    '`g`',
    '| h',
    '> i',
    'a=b',
    'true',
    '\ttab',
    'Ünï/Ćlass',
    '#',
    '---',
    '...',
    '\u202efaces',
    'a\u009bb',
    '\u001b[2J',
  ],
];

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterAll(() => rmSync(folder, { recursive: true }));

describe('--set', () => {
  it.each(texts)(
    'takes the text %j unchanged, as does a file that the configuration is written to',
    (text) => {
      const config = loadConfig({ file: 'cifar10-resnet20', set: [`data.root=${text}`] });
      expect(config.data).toMatchObject({ root: text });
      const file = join(folder, 'shown.yaml');
      writeFileSync(file, stringify(config));
      expect(loadConfig({ file })).toEqual(config);
    },
  );

  it.each([
    ['batchSize=0x10', 16],
    ['optimizer.nesterov=true', true],
    ['model.channels=[1, 2]', [1, 2]],
    ['data={name: digits}', { name: 'digits' }],
    ['backend=cpu', 'cpu'],
    ['distributed.overlap=off', 'off'],
    ['no.such=3', 3],
    ['batchSize=', null],
    ['trace=', ''],
  ])('reads %s by the type in the schema', (assignment, value) => {
    expect(readAssignment(assignment)).toMatchObject({ value, source: `--set ${assignment}` });
  });

  it('gives the same configuration in any order', () => {
    const set = ['model.stem=imagenet', 'model.name=resnet18', 'model.dim=9'];
    const config = loadConfig({ set });
    expect(config.model).toMatchObject({ name: 'resnet18', stem: 'imagenet', dim: 9 });
    expect(loadConfig({ set: set.toReversed() })).toEqual(config);
  });

  it.each(['a..b=1', '.=1', `${'a.'.repeat(20)}a=1`, '=', 'x'])('rejects %s', (assignment) => {
    expect(() => loadConfig({ set: [assignment] })).toThrow(/write --set key=value/);
  });
});
