// Installs the packed package in empty projects, as users do, and uses it there: publint and attw look at the package;
// then, for every package manager and Node.js, import and require, types under three module resolutions, and a launch of
// two workers, whose weights must be the same everywhere. Prints a table, and ends with 1 where something fails.
//   npm run build && node scripts/package-matrix.js [--managers npm,pnpm,yarn1,yarn4] [--nodes 20,22,24] [--with-optional]
// Managers and further versions of Node.js are fetched from the registry.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values: given } = parseArgs({
  options: {
    managers: { type: 'string', default: 'npm' },
    nodes: { type: 'string', default: 'this' },
    'with-optional': { type: 'boolean', default: false },
  },
});
const optional = given['with-optional'];
const root = resolve(import.meta.dirname, '..');
const place = mkdtempSync(join(tmpdir(), 'pod-dist-package-'));
const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
const environment = {
  ...process.env,
  POD_DIST_CACHE: join(place, 'cache'),
  // Yarn 2 and newer read neither npm's settings nor its proxies.
  YARN_NPM_REGISTRY_SERVER: registry,
  YARN_ENABLE_TELEMETRY: '0',
  YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
  ...(process.env.HTTPS_PROXY && { YARN_HTTPS_PROXY: process.env.HTTPS_PROXY }),
};

function run(folder, program, ...args) {
  const options = { cwd: folder, env: environment, encoding: 'utf8', timeout: 240_000, stdio: 'pipe' };
  return execFileSync(program, args, options);
}

/** How each manager adds a package; `from` is what npx takes it from, `without` leaves out optional packages. */
const managers = {
  npm: { add: ['npm', 'install', '--no-audit', '--no-fund'], without: '--omit=optional' },
  pnpm: { from: 'pnpm@9.15.9', add: ['pnpm', 'add'], without: '--no-optional' },
  yarn1: { from: 'yarn@1.22.22', add: ['yarn', 'add', '--non-interactive'], without: '--ignore-optional' },
  // Yarn 4 leaves no optional package out, and its default, Plug'n'Play, writes no node_modules.
  yarn4: { from: '@yarnpkg/cli-dist@4.18.1', add: ['yarn', 'add'], rules: 'nodeLinker: node-modules\n' },
};

const programs = {
  'use.mjs': `import { generateCentroids, initBackend, podLoss } from 'pod-dist';
const { tf } = await initBackend('cpu');
const { values } = generateCentroids({ classes: 3, dim: 4, seed: 1 });
const loss = podLoss(tf.ones([2, 4]), tf.tensor2d(values, [3, 4]), tf.tensor1d([0, 2], 'int32'), { delta: 0.05, lambda: 1 });
if (!(loss.dataSync()[0] > 0)) throw new Error('no loss');
`,
  'use.cjs': `const { launch, errorCodes } = require('pod-dist');
if (typeof launch !== 'function' || !errorCodes.input.USAGE) throw new Error('nothing is there');
`,
  'use.mts': `import { generateCentroids, initBackend, podLoss, type ConfigInput } from 'pod-dist';
export const config: ConfigInput = { learningRate: { schedule: 'constant', rate: 0.1 }, data: { name: 'digits' }, model: { name: 'small-cnn' } };
const { tf } = await initBackend('cpu');
const { values } = generateCentroids({ classes: 3, dim: 4, seed: 1 });
const features = tf.ones([2, 4]).relu().as2D(2, 4);
export const loss: number = podLoss(features, tf.tensor2d(values, [3, 4]), tf.tensor1d([0, 2], 'int32'), { delta: 0.05, lambda: 1 }).dataSync()[0]!;
`,
};
/** Modules and their resolution, as tsconfig has them. */
const resolutions = [
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
];

/** The Node.js of a major version: this one, or what npm has of it. */
function nodeOf(version) {
  if (version === 'this' || process.versions.node.startsWith(`${version}.`)) return process.execPath;
  const folder = join(place, `node-${version}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  run(folder, 'npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts=false', `node@${version}`);
  return join(folder, 'node_modules/node/bin/node');
}

function install(manager, tarball) {
  const { from, add, without, rules } = managers[manager];
  const folder = join(place, manager);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "name": "empty", "private": true }');
  cpSync(tarball, join(folder, 'pod-dist.tgz'));
  for (const [name, text] of Object.entries(programs)) writeFileSync(join(folder, name), text);
  if (rules) {
    writeFileSync(join(folder, '.yarnrc.yml'), rules);
    writeFileSync(join(folder, 'yarn.lock'), '');
  }
  const command = [...(from ? ['npx', '--yes', '-p', from] : []), ...add];
  const flags = without && !optional ? [without] : [];
  const began = performance.now();
  run(folder, ...command, ...flags, 'pod-dist@file:./pod-dist.tgz');
  const seconds = (performance.now() - began) / 1000;
  return { folder, seconds, megabytes: run(folder, 'du', '-sm', 'node_modules').split('\t')[0] };
}

/** What is tried with each Node.js; the last one gives the weights that were trained. */
const checks = {
  import: (folder, node) => run(folder, node, 'use.mjs'),
  require: (folder, node) => run(folder, node, 'use.cjs'),
  launch: (folder, node, out) => {
    const settings = ['--workers', '2', '--backend', 'wasm', '--epochs', '1', '--bitwise', '2', '--out', out];
    run(folder, node, 'node_modules/pod-dist/dist/launcher/cli.js', 'launch', ...settings);
    return JSON.parse(readFileSync(join(folder, out, 'report.json'), 'utf8')).weightsSha256;
  },
};

function typesIn(folder, [module, resolution]) {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const roots = ['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node'];
  const options = ['--strict', '--noEmit', '--skipLibCheck', '--target', 'es2022', ...roots];
  run(
    folder,
    process.execPath,
    compiler,
    ...options,
    '--module',
    module,
    '--moduleResolution',
    resolution,
    'use.mts',
  );
}

let failed = 0;
/** Makes a check, and returns its cell. */
function cell(check) {
  try {
    check();
    return 'yes';
  } catch (error) {
    failed++;
    process.stderr.write(`${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}\n`);
    return 'NO';
  }
}

try {
  run(root, 'npm', 'pack', '--silent', '--pack-destination', place);
  const tarball = join(
    place,
    readdirSync(place).find((name) => name.endsWith('.tgz')),
  );
  const tool = (name) => join(root, 'node_modules/.bin', name);
  const published = cell(() => run(root, tool('publint'), '--strict', tarball));
  const typed = cell(() => run(root, tool('attw'), tarball, '--ignore-rules', 'cjs-resolves-to-esm'));
  console.log(`publint: ${published}, attw: ${typed}\n`);
  const nodes = given.nodes.split(',').map(nodeOf);
  console.log(`| manager | Node.js | seconds | MB | types | ${Object.keys(checks).join(' | ')} |`);
  console.log('|---|---|---|---|---|---|---|---|');
  const weights = new Set();
  for (const manager of given.managers.split(',')) {
    const { folder, seconds, megabytes } = install(manager, tarball);
    const types = cell(() => resolutions.forEach((one) => typesIn(folder, one)));
    for (const node of nodes) {
      const version = run(folder, node, '--version').trim();
      const cells = Object.values(checks).map((check) =>
        cell(() => {
          const trained = check(folder, node, `run-${version}`);
          if (check === checks.launch) weights.add(trained);
        }),
      );
      console.log(`| ${[manager, version, seconds.toFixed(0), megabytes, types, ...cells].join(' | ')} |`);
    }
  }
  console.log(`\nweights: ${[...weights].join(', ')}`);
  if (weights.size > 1) failed++;
} finally {
  rmSync(place, { recursive: true, force: true });
}
process.exitCode = failed > 0 ? 1 : 0;
