import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { messageOf, UserError } from '../../util/errors.js';
import { archiveLibrary } from './archive.js';
import {
  addonFolder,
  libraryFolder,
  readManifest,
  sourceFolders,
  sourcesDigest,
  type Manifest,
} from './cache.js';
import { checkDriver } from './driver.js';
import { downloadsFolder } from './fetch.js';
import { installedLibrary } from './installed.js';
import { keptLibrary } from './kept-library.js';
import { origins, type Library, type Origin, type SetupProgress } from './library.js';
import { minute, runCommand } from './run.js';
import { setUpSharedMemory } from './shared-memory.js';
import { mustEnd, wheelLibrary } from './wheel.js';

const require = createRequire(import.meta.url);

export interface SetupOptions {
  /** Build against TensorFlow for NVIDIA GPUs. */
  cuda: boolean;
  /** Fetch and build again what is there already. */
  force: boolean;
  /** Origin of TensorFlow; default: the first one that has it. */
  from?: Origin;
  /** Folder of an installed libtensorflow. */
  library?: string;
  progress: SetupProgress;
}

export interface SetupResult {
  folder: string;
  tensorflow: string;
  /** Whether nothing had to be done. */
  cached: boolean;
  /** The addon computes on a GPU. */
  gpu: boolean;
}

const addonName = 'tfjs_binding.node';
const operationsName = 'operations.node';

/**
 * Builds the addon of native TensorFlow: two C++ files of @tensorflow/tfjs-node-gpu, which pod-dist ships, compiled against
 * a TensorFlow library from its Python wheel, from this machine, or from that package's own archive. What is there
 * already is loaded once, and built again where it no longer works. Before it, the module for memory that workers share,
 * which needs no TensorFlow.
 *
 * The addon is made in a folder beside the final one, loaded once in a process of its own, and only then renamed, so
 * that an interrupted or failed set-up leaves nothing that looks finished. A TensorFlow that was fetched is kept beside
 * it for the addons of later versions. Every step has a deadline; downloads go on where they stopped.
 *
 * @throws UserError `SETUP_FAILED`: what is missing and what to do; UserError `ROOM_MISSING`; PodDistError
 *   `CHECKSUM_MISMATCH`
 */
export async function setup(options: SetupOptions): Promise<SetupResult> {
  const { cuda, force, from, library: given, progress } = options;
  await setUpSharedMemory(progress, { force });
  const final = addonFolder(cuda);
  const found = readManifest(final);
  if (found && !force) {
    try {
      const { gpu } = await verify(
        join(final, found.addon),
        found.operations && join(final, found.operations),
      );
      return { folder: final, tensorflow: found.tensorflow, cached: true, gpu };
    } catch (error) {
      progress.step(`building again: ${messageOf(error)}`);
    }
  }
  if (cuda && from !== 'archive' && given === undefined) await checkDriver(progress);
  await requireCompiler();
  await mkdir(dirname(final), { recursive: true });
  const folder = await mkdtemp(join(dirname(final), `.${basename(final)}-`));
  try {
    const library = await findLibrary(options);
    progress.step(`compiling the addon against TensorFlow ${library.version} with g++`);
    const [operations] = await Promise.all([
      compileOperations(library, folder, progress),
      compileAddon(library, folder),
    ]);
    progress.step('loading it in a process of its own');
    const { gpu } = await verify(join(folder, addonName), operations && join(folder, operations));
    const { version } = library;
    const manifest: Manifest = {
      tensorflow: version,
      cuda,
      addon: addonName,
      operations,
      sources: sourcesDigest(),
      verified: { gpu },
    };
    writeFileAtomicSync(join(folder, 'manifest.json'), JSON.stringify(manifest, null, 2));
    await rm(final, { recursive: true, force: true });
    await rename(folder, final);
    await rm(downloadsFolder(), { recursive: true, force: true });
    return { folder: final, tensorflow: version, cached: false, gpu };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * The library from where it is wanted, else from the first origin that has one; the reasons of all where none has. A file
 * that is not what was published ends it.
 */
async function findLibrary({ cuda, force, from, library, progress }: SetupOptions): Promise<Library> {
  const kept = (origin: string, make: (home: string) => Promise<Library>) =>
    keptLibrary(`${libraryFolder(cuda)}-${origin}`, force, make);
  const sources: Record<Origin, () => Promise<Library>> = {
    wheel: () => kept('wheel', (home) => wheelLibrary(home, cuda, progress)),
    installed: () => installedLibrary(library),
    archive: () => kept('archive', (home) => archiveLibrary(home, cuda, progress)),
  };
  const wanted = from ?? (library === undefined ? undefined : 'installed');
  if (wanted) return sources[wanted]();
  const reasons: string[] = [];
  for (const origin of origins) {
    try {
      return await sources[origin]();
    } catch (error) {
      if (mustEnd(error)) throw error;
      reasons.push(messageOf(error));
      progress.step(`no TensorFlow from ${origin}: ${messageOf(error)}`);
    }
  }
  throw new UserError('SETUP_FAILED', `no TensorFlow to build against: ${reasons.join('; ')}`);
}

async function requireCompiler(): Promise<void> {
  try {
    await runCommand('g++', ['--version'], minute);
  } catch {
    throw new UserError(
      'SETUP_FAILED',
      'g++ is needed to compile the addon: install a C++ compiler (Debian: apt install g++), then run pod-dist setup again',
    );
  }
}

async function compileAddon(library: Library, folder: string): Promise<void> {
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(sourceFolders.binding, name));
  try {
    await compile(sources, { flags: ['-O2'], library, output: join(folder, addonName) });
  } catch (error) {
    throw new UserError('SETUP_FAILED', `the addon does not compile: ${messageOf(error)}`);
  }
}

/**
 * Compiles the operations that are added to TensorFlow, with threads where the compiler has OpenMP; null where it cannot.
 * Everything works without them, and takes longer.
 */
async function compileOperations(
  library: Library,
  folder: string,
  progress: SetupProgress,
): Promise<string | null> {
  const sources = ['module.cc', 'batch-norm.cc', 'activations.cc', 'passes.cc', 'graph.cc'].map((name) =>
    join(sourceFolders.operations, name),
  );
  const flags = ['-O3', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-fvisibility=hidden'];
  let reason = '';
  for (const threads of [['-fopenmp'], []]) {
    try {
      const output = join(folder, operationsName);
      await compile(sources, { flags: [...flags, ...threads], library, output });
      return operationsName;
    } catch (error) {
      reason = messageOf(error);
    }
  }
  progress.step(`batch norm takes longer: operations for it do not compile (${reason})`);
  return null;
}

interface Compilation {
  flags: readonly string[];
  library: Library;
  output: string;
}

/** Compiles a module of Node.js's; TensorFlow in the same cache is found by where it lies from there. */
async function compile(sources: readonly string[], { flags, library, output }: Compilation): Promise<void> {
  const folder = dirname(output);
  const inside = library.folder.startsWith(dirname(folder) + sep);
  const path = inside ? `$ORIGIN/${relative(folder, library.folder)}` : library.folder;
  const headers = join(dirname(require.resolve('node-api-headers/package.json')), 'include');
  const shared = ['-std=c++17', '-fPIC', '-shared', '-DNAPI_VERSION=8', '-I', headers, '-I', library.include];
  const libraries = [
    '-L',
    library.folder,
    ...library.files.map((name) => `-l:${name}`),
    `-Wl,-rpath,${path}`,
  ];
  await runCommand('g++', [...shared, ...flags, ...sources, ...libraries, '-o', output], 10 * minute);
}

/** Loads the addon and multiplies two matrices, in a fresh process as a worker's would be. */
async function verify(addon: string, operations: string | null): Promise<{ gpu: boolean }> {
  const script = fileURLToPath(new URL('./verify.js', import.meta.url));
  const environment = { ...process.env, TF_FORCE_GPU_ALLOW_GROWTH: 'true' };
  try {
    return JSON.parse(
      await runCommand(
        process.execPath,
        [script, addon, ...(operations ? [operations] : [])],
        2 * minute,
        environment,
      ),
    ) as {
      gpu: boolean;
    };
  } catch (error) {
    throw new UserError(
      'SETUP_FAILED',
      `the addon does not work: ${messageOf(error)}; pod-dist setup --force fetches and builds everything again`,
    );
  }
}
