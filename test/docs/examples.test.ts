import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiled, root, typeErrors } from './typescript.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-examples-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The first example to run: others, in the order of their names, use the files that earlier ones write. */
const first = 'train';

/** Exports without an example: libraries, and classes that only pod-dist constructs. */
const others = new Set(['tf', 'z', 'Membership']);

interface Exported {
  name: string;
  example: string;
}

/** Values that the package exports, each with its example. */
function exported(): Exported[] {
  const entry = join(root, 'src/index.ts');
  const { options } = ts.getParsedCommandLineOfConfigFile(
    join(root, 'tsconfig.json'),
    {},
    {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: () => {},
    },
  ) as ts.ParsedCommandLine;
  const program = ts.createProgram([entry], { ...options, incremental: false });
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(entry) as ts.SourceFile) as ts.Symbol;
  return checker.getExportsOfModule(module).flatMap((symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    if (!(target.flags & ts.SymbolFlags.Value)) return [];
    const tag = target.getJsDocTags(checker).find(({ name }) => name === 'example');
    return [{ name: symbol.name, example: ts.displayPartsToString(tag?.text) }];
  });
}

describe('the examples of the public functions', () => {
  const examples = exported();
  const written = examples
    .filter(({ example }) => example !== '')
    .sort((a, b) => Number(b.name === first) - Number(a.name === first) || a.name.localeCompare(b.name));
  const fileOf = (name: string) => join(folder, `${name}.mts`);

  beforeAll(async () => {
    mkdirSync(join(folder, 'node_modules'));
    mkdirSync(join(folder, 'photos'));
    symlinkSync(root, join(folder, 'node_modules/pod-dist'), 'dir');
    symlinkSync(join(root, 'node_modules/@tensorflow'), join(folder, 'node_modules/@tensorflow'), 'dir');
    for (const { name, example } of written) writeFileSync(fileOf(name), `${example}\n`);
    const black = { width: 8, height: 8, channels: 3, background: 'black' } as const;
    const stroke = { input: { create: { ...black, width: 2, background: 'white' } }, left: 3, top: 0 };
    const one = join(folder, 'photos/one.png');
    await sharp({ create: black }).composite([stroke]).png().toFile(one);
    for (const [index, name] of ['ada', 'grace'].entries()) {
      mkdirSync(join(folder, 'strangers', name), { recursive: true });
      for (const file of ['1.png', '2.png'])
        await sharp(one)
          .rotate(90 * index)
          .toFile(join(folder, 'strangers', name, file));
    }
  });

  it('exist for every exported value', () => {
    expect(examples.length).toBeGreaterThan(25);
    expect(examples.filter(({ name, example }) => example === '' && !others.has(name))).toEqual([]);
  });

  it('match the types of the package; a wrong example does not', () => {
    const wrong = join(folder, 'wrong.mts');
    writeFileSync(wrong, "import { shardRange } from 'pod-dist';\nshardRange('10', 1, 3);\n");
    const errors = typeErrors([...written.map(({ name }) => fileOf(name)), wrong]);
    expect(errors).toEqual([expect.stringMatching(/wrong\.mts: .*'string' is not assignable.*'number'/)]);
  });

  it('run one after the other in one process', async () => {
    for (const { name, example } of written) writeFileSync(join(folder, `${name}.mjs`), compiled(example));
    const lines = written.map(
      ({ name }) => `console.log('example ${name}');\nawait import('./${name}.mjs');\n`,
    );
    writeFileSync(join(folder, 'all.mjs'), lines.join(''));
    const child = spawn(process.execPath, ['all.mjs'], { cwd: folder, timeout: 100_000 });
    let output = '';
    child.stdout.on('data', (part: Buffer) => (output += part.toString()));
    child.stderr.on('data', (part: Buffer) => (output += part.toString()));
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code, output).toBe(0);
    for (const { name } of written) expect(output).toContain(`example ${name}\n`);
    expect(output).toMatch(/photos\/one\.png/);
    expect(output).toMatch(/ada\/1\.png Float32Array\(\d+\)/);
    expect(output).toContain('4 images, 1 of them beside one of their class');
    expect(output).toMatch(/checkpoints\/epoch-0001: \d+ of 360 images/);
    expect(readdirSync(join(folder, 'runs/digits'))).toContain('report.html');
    expect(readdirSync(join(folder, 'digits-onnx'))).toContain('model.onnx');
  });
});
