// Bundles each program that is started often, so that a start reads one file of pod-dist instead of hundreds: the
// command and its workers, with what `import 'pod-dist'` gives, and the threads. The file that tsc has written for an
// entry becomes one that runs the bundle; all other modules stay as they are, for tests and types.
import { build } from 'esbuild';
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';

const folder = 'dist/bundle';

/** Entries of each bundle, by the name that it exports them under. */
const programs = {
  main: {
    cli: 'launcher/cli.ts',
    worker: 'launcher/worker-process.ts',
    coordinator: 'src/job/join/coordinator-thread.ts',
  },
  communication: { thread: 'src/job/member/communication-thread.ts' },
  logging: { thread: 'src/logging/logging-thread.ts' },
  ui: { thread: 'src/ui/ui-thread.ts' },
  writer: { thread: 'src/checkpoint/writer-thread.ts' },
  loader: { thread: 'src/data/loader-thread.ts' },
};
const api = 'src/index.ts';

/** Bundles for tests, which no package contains: programs with faults, processes that stay, and losses for their plug-ins. */
const testFolder = 'dist/test/bundle';
const ofTests = {
  cli: 'test/soak/faulty-command.ts',
  worker: 'test/soak/faulty-worker.ts',
  warmWorker: 'test/integration/fixtures/warm-worker.ts',
  warmCommand: 'test/integration/fixtures/warm-command.ts',
  losses: 'src/losses/index.ts',
};

/** Packages that stay outside: those with native code, and TensorFlow.js, which a process loads once. */
const external = [
  ...['@tensorflow/*', 'msgpackr', 'piscina', 'sharp', 'webgpu', 'zeromq'],
  // Only some commands load these.
  ...['@bufbuild/protobuf', 'onnx-buf', 'open', 'tar', 'yauzl'],
];

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'eof',
  logLevel: 'warning',
  metafile: true,
  external,
  mainFields: ['module', 'main'],
};

/** Builds the bundles, and returns esbuild's list of what is in them. */
export async function bundlePrograms() {
  const results = await Promise.all([
    ...Object.entries(programs).map(([name, entries]) => bundle(name, entries)),
    bundle('main', ofTests, testFolder),
    build({
      ...common,
      entryPoints: ['src/util/code-cache.ts'],
      outfile: `${folder}/code-cache.cjs`,
      format: 'cjs',
    }),
    build({
      ...common,
      entryPoints: [api],
      format: 'esm',
      outdir: folder,
      write: false,
      plugins: [placedIn(folder)],
    }),
  ]);
  const { metafile } = results.at(-1);
  const [{ exports }] = Object.values(metafile.outputs);
  for (const where of [folder, testFolder])
    writeFileSync(
      `${where}/index.js`,
      `${requiring}export const { ${exports.join(', ')} } = require('./main.cjs').api();\n`,
    );
  writeFileSync(`${folder}/import.cjs`, 'module.exports = (name) => import(name);\n');
  for (const [name, entries] of Object.entries(programs))
    for (const [entry, source] of Object.entries(entries)) {
      const kind = entry === 'cli' ? kindOfCommand : `'${entry === 'thread' ? name : entry}'`;
      writeStart(source, `${folder}/${name}`, entry, kind);
    }
  writeStart(ofTests.warmWorker, `${testFolder}/main`, 'warmWorker', "'worker'");
  writeStart(ofTests.warmCommand, `${testFolder}/main`, 'warmCommand', "'warm command'");
  chmodSync('dist/launcher/cli.js', 0o755);
  cpSync('node_modules/yargs/locales', `${folder}/yargs/locales`, { recursive: true });
  return results;
}

/**
 * Replaces `import.meta.url` in bundled modules, and `import()` of modules outside the bundle: code from V8's cache
 * cannot import.
 */
const bannerIn = (where) =>
  `const urlIn = ((base) => (file) => new URL(file, base).href)(require('node:url').pathToFileURL(__dirname + '/${relative(where, 'dist')}/').href);
const importOther = require(__dirname + '/${relative(where, folder) || '.'}/import.cjs');`;

async function bundle(name, entries, where = folder) {
  const outfile = `${where}/${name}.cjs`;
  const placed = placedIn(where);
  const all = name === 'main' ? { ...entries, api } : entries;
  const lines = Object.entries(all).map(
    ([entry, source]) => `exports.${entry} = () => require('./${source}');`,
  );
  const result = await build({
    ...common,
    stdin: { contents: lines.join('\n'), resolveDir: '.' },
    outfile,
    format: 'cjs',
    sourcemap: true,
    sourcesContent: false,
    banner: { js: bannerIn(where) },
    plugins: name === 'main' ? [placed] : [placed, inEnglish],
  });
  if (/(?<!\.)\bimport\(/.test(await readFile(outfile, 'utf8')))
    throw new Error(`${outfile} imports: see importOther`);
  return result;
}

const requiring =
  "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);\n";

/** Commands whose starts are kept apart: each needs functions of its own. */
const commands = ['launch', 'agent', 'host', 'worker', 'evaluate', 'predict'];
const kindOfCommand = `${JSON.stringify(commands)}.includes(process.argv[2]) ? process.argv[2] : 'cli'`;

/** Writes the file that starts a program, in place of what tsc has written for its entry. */
function writeStart(source, program, entry, kind) {
  const file = `dist/${source.replace(/\.ts$/, '.js')}`;
  const from = (other) => relative(dirname(file), other);
  const start = `require('${from(program)}.cjs').${entry}()`;
  const text = [
    `${requiring}require('${from(folder)}/code-cache.cjs').keepCode(${kind});`,
    program.endsWith('/loader') ? `export default ${start}.default;` : `${start};`,
    '',
  ].join('\n');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, entry === 'cli' ? `#!/usr/bin/env node\n${text}` : text);
}

/** Keeps a package out of the source map: a mapping of nothing. */
const noMapping = Buffer.from('{"version":3,"sources":[""],"mappings":"AAAA"}').toString('base64');
const unmapped = `//# sourceMappingURL=data:application/json;base64,${noMapping}`;

/**
 * Gives each bundled module the address that it has outside the bundle, for the files that it finds beside itself, and
 * `pod-dist` the bundle's own.
 */
const placedIn = (where) => ({
  name: 'placed',
  setup({ onLoad, onResolve }) {
    onLoad({ filter: /[\\/]util[\\/]package-entry\.ts$/ }, () => ({
      contents: `export const packageEntry = urlIn('${relative('dist', where)}/index.js');`,
    }));
    onLoad({ filter: /\.[cm]?[jt]s$/ }, async ({ path }) => {
      const isOwn = !path.includes('node_modules');
      const text = await readFile(path, 'utf8');
      const placedText = text.replaceAll('import.meta.url', `urlIn('${addressOf(path)}')`);
      const contents = isOwn
        ? placedText.replaceAll(/(?<!\.)\bimport\((?!\s*['"]\.)/g, 'importOther(')
        : `${placedText}\n${unmapped}`;
      return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' };
    });
    // Written by scripts/bundle.js.
    onResolve({ filter: /^\.\/(packages|registrations)\.js$/ }, ({ path, resolveDir }) => ({
      path: resolve('dist', relative('.', resolveDir), path),
    }));
    onResolve({ filter: /\/echarts\.js$/ }, () => ({
      path: `${relative(where, 'dist')}/src/report/echarts.js`,
      external: true,
    }));
  },
});

/** zod's messages in the other languages, which a plug-in may want, and no thread of pod-dist. */
const inEnglish = {
  name: 'in-english',
  setup({ onResolve }) {
    onResolve({ filter: /\/locales\/index\.js$/ }, ({ path, resolveDir }) => ({
      path: resolve(resolveDir, path, '../en.js'),
    }));
  },
};

/** Where a module is outside the bundle, or would find what is copied beside the bundle, from dist/. */
function addressOf(path) {
  const [, inPackage] = /.*[\\/]node_modules[\\/](.*)$/.exec(path) ?? [];
  if (inPackage !== undefined) return `bundle/${inPackage}`;
  return relative('.', path)
    .replace(/^dist[\\/]/, '')
    .replace(/\.ts$/, '.js');
}
