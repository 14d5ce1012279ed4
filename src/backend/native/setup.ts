import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { messageOf, UserError } from '../../errors.js';
import { addonFolder, readManifest, tensorflowVersion, type Manifest } from './cache.js';
import { packageFolder } from './index.js';

const require = createRequire(import.meta.url);

export interface SetupOptions {
  /** Build against TensorFlow for NVIDIA GPUs. */
  cuda: boolean;
  /** Build again where a finished addon is there. */
  force: boolean;
  /** Told what is being done, a line a step. */
  onStep(line: string): void;
}

export interface SetupResult {
  folder: string;
  tensorflow: string;
  /** Nothing had to be done. */
  cached: boolean;
  /** The addon computes on a GPU. */
  gpu: boolean;
}

const minute = 60_000;
const addonName = 'tfjs_binding.node';

/**
 * Builds the addon of native TensorFlow: the shared library comes from TensorFlow's own Python wheel, and the npm
 * package's two C++ files are compiled against it.
 *
 * Everything is made in a folder beside the final one, loaded once in a process of its own, and only then renamed, so
 * that an interrupted or failed set-up leaves nothing that looks finished. Every step has a deadline.
 *
 * @throws UserError `SETUP_FAILED`: what is missing and what to do
 */
export async function setup({ cuda, force, onStep }: SetupOptions): Promise<SetupResult> {
  const final = addonFolder(cuda);
  const found = readManifest(final);
  if (found && !force) {
    const { gpu } = await verify(final, found);
    return { folder: final, tensorflow: found.tensorflow, cached: true, gpu };
  }
  const sources = bindingSources();
  const python = await findPython();
  await requireCompiler();
  await mkdir(dirname(final), { recursive: true });
  const folder = await mkdtemp(join(dirname(final), `.${basename(final)}-`));
  try {
    onStep(
      `downloading TensorFlow ${tensorflowVersion}${cuda ? ' for CUDA' : ''} with pip (about ${cuda ? '3 GB' : '270 MB'})`,
    );
    await installWheel(python, cuda, join(folder, 'site'));
    onStep('compiling the addon with g++');
    await compile(sources, folder);
    const manifest: Manifest = { tensorflow: tensorflowVersion, cuda, addon: addonName, libraryFolders: [] };
    onStep('loading it in a process of its own');
    const finished = { ...manifest, libraryFolders: await cudaFolders(folder, final) };
    const { gpu } = await verify(folder, { ...manifest, libraryFolders: await cudaFolders(folder, folder) });
    writeFileAtomicSync(join(folder, 'manifest.json'), JSON.stringify(finished, null, 2));
    await rm(final, { recursive: true, force: true });
    await rename(folder, final);
    return { folder: final, tensorflow: tensorflowVersion, cached: false, gpu };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function bindingSources(): string[] {
  const folder = packageFolder();
  const files = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(folder ?? '', 'binding', name));
  if (folder && files.every((file) => existsSync(file))) return files;
  throw new UserError(
    'SETUP_FAILED',
    'the optional package @tensorflow/tfjs-node-gpu is not installed: run npm ci without --omit=optional',
  );
}

async function findPython(): Promise<string> {
  for (const name of ['python3', 'python']) {
    try {
      await run(name, ['-m', 'pip', '--version'], minute);
      return name;
    } catch {
      continue;
    }
  }
  throw new UserError(
    'SETUP_FAILED',
    'Python 3 with pip is needed to fetch TensorFlow: install python3 and python3-pip, then run pod-dist setup again',
  );
}

async function requireCompiler(): Promise<void> {
  try {
    await run('g++', ['--version'], minute);
  } catch {
    throw new UserError(
      'SETUP_FAILED',
      'g++ is needed to compile the addon: install a C++ compiler (Debian: apt install g++), then run pod-dist setup again',
    );
  }
}

async function installWheel(python: string, cuda: boolean, target: string): Promise<void> {
  const wheel = cuda
    ? [`tensorflow[and-cuda]==${tensorflowVersion}`]
    : ['--no-deps', `tensorflow-cpu==${tensorflowVersion}`];
  const options = [
    '--quiet',
    '--disable-pip-version-check',
    '--no-compile',
    '--only-binary',
    ':all:',
    '--timeout',
    '30',
    '--retries',
    '3',
  ];
  try {
    await run(python, ['-m', 'pip', 'install', ...options, '--target', target, ...wheel], 30 * minute);
  } catch (error) {
    throw new UserError(
      'SETUP_FAILED',
      `pip could not fetch TensorFlow ${tensorflowVersion}: ${messageOf(error)}; check the network and that this Python has wheels for it`,
    );
  }
}

async function compile(sources: readonly string[], folder: string): Promise<void> {
  const tensorflow = join(folder, 'site', 'tensorflow');
  const headers = join(dirname(require.resolve('node-api-headers/package.json')), 'include');
  const libraries = ['-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'];
  const flags = [
    '-std=c++17',
    '-O2',
    '-fPIC',
    '-shared',
    '-DNAPI_VERSION=8',
    '-I',
    headers,
    '-I',
    join(tensorflow, 'include'),
  ];
  const paths = ['-L', tensorflow, '-Wl,-rpath,$ORIGIN/site/tensorflow', '-o', join(folder, addonName)];
  try {
    await run('g++', [...flags, ...sources, ...libraries, ...paths], 10 * minute);
  } catch (error) {
    throw new UserError('SETUP_FAILED', `the addon does not compile: ${messageOf(error)}`);
  }
}

/** Folders of the CUDA libraries that came with the wheel, as they will be under `home`. */
async function cudaFolders(folder: string, home: string): Promise<string[]> {
  const nvidia = join('site', 'nvidia');
  if (!existsSync(join(folder, nvidia))) return [];
  const parts = await readdir(join(folder, nvidia));
  return parts
    .map((part) => join(nvidia, part, 'lib'))
    .filter((path) => existsSync(join(folder, path)))
    .map((path) => join(home, path));
}

/** Loads the addon and multiplies two matrices, in a fresh process as a worker's would be. */
async function verify(folder: string, { addon, libraryFolders }: Manifest): Promise<{ gpu: boolean }> {
  const script = fileURLToPath(new URL('./verify.js', import.meta.url));
  const libraries = [...libraryFolders, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
  const environment = { ...process.env, LD_LIBRARY_PATH: libraries, TF_FORCE_GPU_ALLOW_GROWTH: 'true' };
  try {
    const output = await run(process.execPath, [script, join(folder, addon)], 2 * minute, environment);
    return JSON.parse(output) as { gpu: boolean };
  } catch (error) {
    throw new UserError(
      'SETUP_FAILED',
      `the addon in ${folder} does not work: ${messageOf(error)}; run pod-dist setup --force`,
    );
  }
}

/** Runs a program to its end; rejects with the last line that it wrote to its error output. */
async function run(
  program: string,
  args: string[],
  timeout: number,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      timeout,
      env,
      killSignal: 'SIGKILL',
      maxBuffer: 2 ** 26,
    });
    return stdout;
  } catch (error) {
    const { killed, stderr } = error as { killed?: boolean; stderr?: string };
    if (killed) throw new Error(`${program} did not end within ${timeout / minute} minutes`);
    throw new Error(stderr?.trim().split('\n').pop() || messageOf(error));
  }
}
