import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { remark } from 'remark';
import validateLinks from 'remark-validate-links';
import { engine, type Options } from 'unified-engine';
import { afterAll, describe, expect, it } from 'vitest';
import yargs, { type CommandModule } from 'yargs';
import { listSettings } from '../../src/config/settings.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folders = ['docs', 'benchmarks/results', 'src', 'examples'];

/** Every Markdown file of the project. */
const documents = [
  root,
  ...folders.map((folder) => join(root, folder)).filter((folder) => existsSync(folder)),
].flatMap((folder) =>
  readdirSync(folder, { withFileTypes: true, recursive: folder !== root }).flatMap((entry) =>
    entry.isFile() && entry.name.endsWith('.md') ? [join(entry.parentPath, entry.name)] : [],
  ),
);

/** Links to missing files and headings, a line for each. */
async function brokenLinks(files: string[], cwd: string): Promise<string[]> {
  const discarded = new PassThrough().resume();
  return new Promise((resolve, reject) => {
    engine(
      {
        processor: remark(),
        cwd,
        files,
        plugins: [[validateLinks, { repository: false, root: cwd }]] as unknown as Options['plugins'],
        out: false,
        streamOut: discarded,
        streamError: discarded,
      },
      (error, _status, context) => {
        if (error) return reject(error);
        const read = (context as { files: { path: string; messages: { reason: string }[] }[] }).files;
        resolve(read.flatMap(({ path, messages }) => messages.map(({ reason }) => `${path}: ${reason}`)));
      },
    );
  });
}

interface Node {
  type: string;
  value?: string;
  children?: Node[];
}

/** Fenced blocks and inline code of a document. */
function codeOf(file: string): { blocks: string[]; words: string[] } {
  const all = (node: Node): Node[] => [node, ...(node.children ?? []).flatMap(all)];
  const nodes = all(remark().parse(readFileSync(file, 'utf8')) as Node);
  const ofType = (wanted: string) =>
    nodes.flatMap(({ type, value }) => (type === wanted && value !== undefined ? [value] : []));
  return { blocks: ofType('code'), words: ofType('inlineCode') };
}

const code = documents
  .filter((file) => !file.includes('/benchmarks/'))
  .map((file) => ({ file: relative(root, file), ...codeOf(file) }));

describe('links', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('lead to existing files and headings', async () => {
    expect(documents.length).toBeGreaterThan(20);
    expect(await brokenLinks(documents, root)).toEqual([]);
  });

  it('are reported by brokenLinks if they are broken', async () => {
    writeFileSync(
      join(folder, 'a.md'),
      '# A\n\n[file](gone.md) [heading](b.md#gone) [here](#a) [there](b.md#b)\n',
    );
    writeFileSync(join(folder, 'b.md'), '# B\n\n| |\n|-|\n| [table](gone.png) |\n');
    const broken = await brokenLinks([join(folder, 'a.md'), join(folder, 'b.md')], folder);
    expect(broken).toHaveLength(3);
    expect(broken.join('\n')).toMatch(/gone\.md[^]*gone[^]*gone\.png/);
  });
});

describe('code in documents', () => {
  it('equals the file that its first line names', () => {
    const quoted = code.flatMap(({ file, blocks }) =>
      blocks.flatMap((block) => {
        const [, path, text] = /^\/\/ ((?:src|examples)\/\S+)\n([^]*)$/.exec(block) ?? [];
        return path === undefined ? [] : [{ file, path, text }];
      }),
    );
    for (const { path, text } of quoted) expect(text).toBe(readFileSync(join(root, path), 'utf8').trimEnd());
    expect(quoted.filter(({ file }) => file === 'docs/extending.md').map(({ path }) => path)).toEqual([
      'examples/own-loss/loss.mjs',
      'examples/own-backbone/backbone.mjs',
      'examples/own-data-set/data-set.mjs',
      'src/collective/algorithms/one-shot.ts',
      'src/transport/in-process.ts',
      'src/backend/cpu/index.ts',
    ]);
  });
});

describe('docs/architecture.md', () => {
  it('describes every folder of src', () => {
    const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
    const [, table = ''] = /^## Folders\n([^]*?)^## /m.exec(text) ?? [];
    const described = [...table.matchAll(/^\| (`\w[^|]*`) \|/gm)].flatMap(([, names]) =>
      [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    );
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    expect(described.toSorted()).toEqual(folders.map(({ name }) => name).toSorted());
  });
});

describe('settings in documents', () => {
  const known = new Set(listSettings().map(({ path }) => path));
  const sections = new Set(
    [...known].flatMap((path) => {
      const parts = path.split('.').slice(0, -1);
      return [...parts, ...parts.map((_, index) => parts.slice(0, index + 1).join('.'))];
    }),
  );
  const files = /\.(json|md|yaml|ts|js|safetensors|onnx)$/;
  const settingIn = /^((?:[a-z][a-zA-Z]*\.)+[a-z][a-zA-Z]*)(?:: .*|=.*)?$/;

  it('exist in the schema', () => {
    const named = code.flatMap(({ file, blocks, words }) => {
      const given = blocks.flatMap((block) =>
        [...block.matchAll(/--set '?([\w.]+)=/g)].map(([, path]) => path),
      );
      const inText = words.flatMap((word) => settingIn.exec(word)?.[1] ?? []);
      return [...given, ...inText.filter((path) => sections.has(path.split('.')[0]))].map((path) => ({
        file,
        path,
      }));
    });
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter(({ path }) => !known.has(path) && !sections.has(path) && !files.test(path))).toEqual(
      [],
    );
  });
});

describe('commands in documents', () => {
  /** Help text of a command, such as `bench step`. */
  async function helpOf(words: readonly string[]): Promise<string> {
    const [name] = words;
    const module = (await import(join(root, 'dist/launcher/commands', `${name}.js`))) as Record<
      string,
      CommandModule
    >;
    const camel = name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const parser = yargs().scriptName('pod-dist').command(module[`${camel}Command`]).exitProcess(false);
    return new Promise(
      (resolve) => void parser.parse([...words, '--help'], {}, (_error, _args, help) => resolve(help)),
    );
  }

  it('exist, and their flags are in the help', async () => {
    const lines = code.flatMap(({ file, blocks }) =>
      blocks.flatMap((block) =>
        [...block.matchAll(/(?<=npx pod-dist|dist\/launcher\/cli\.js) ([a-z].*)/g)].map(([, line]) => ({
          file,
          line: line.replace(/ #.*/, ''),
        })),
      ),
    );
    expect(lines.length).toBeGreaterThan(40);
    const wrong: string[] = [];
    const helps = new Map<string, string>();
    for (const { file, line } of lines) {
      const [name, second] = line.split(' ');
      const words = ['bench', 'config', 'data'].includes(name) ? [name, second] : [name];
      const key = words.join(' ');
      if (!helps.has(key)) helps.set(key, await helpOf(words));
      const help = helps.get(key) ?? '';
      if (!help.startsWith(`pod-dist ${key}`)) wrong.push(`${file}: pod-dist ${key}`);
      for (const [flag] of line.matchAll(/(?<= )--?[a-z][a-z-]*/g))
        if (!new RegExp(`(^|[ ,])${flag}[ ,]`, 'm').test(help))
          wrong.push(`${file}: pod-dist ${key} ${flag}`);
    }
    expect(wrong).toEqual([]);
  });
});
