import { createHash } from 'node:crypto';
import {
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import module, { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { cachedDataVersionTag } from 'node:v8';
import { Script } from 'node:vm';
import { threadId } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { cacheFolder } from './cache-folder.js';
import { collectGarbageRarely } from './garbage.js';
import { makeFolder } from './make-folder.js';

/**
 * Files whose compiled code is kept: bundles, and what every start loads of TensorFlow.js. None of them has an `import()`,
 * which code that was kept could not do.
 */
const kept =
  /[\\/]bundle[\\/](?:main|communication|writer|loader)\.cjs$|[\\/]node-kernels\.cjs$|[\\/]tf-(?:core|layers|backend-cpu|backend-wasm)\.node\.js$/;

/** Files of the folder at most, and how many stay where there are more: those of the newest installations. */
const files = { most: 256, kept: 192 };

/** After this time a start has compiled what it needs. */
const startMs = 700;
const writableByOthers = 0o022;

/** Node's own function that compiles a CommonJS module, which its types do not describe. */
type Compile = (this: NodeJS.Module, content: string, filename: string) => unknown;
const { prototype: modules } = module as unknown as { prototype: { _compile: Compile } };

/**
 * Keeps what V8 compiles of the large files of a start in the user's cache folder, for the next start of the same kind:
 * compiling them costs more than all else that a start does. Newer versions of Node.js do that themselves. Code of another
 * file, or made under other flags or by another version of V8, is not taken. `NODE_DISABLE_COMPILE_CACHE=1` turns it off,
 * as it does in Node.js.
 *
 * @param kind starts of one kind need the same functions
 */
export function keepCode(kind: string): void {
  // A worker's flags are set before its code is read: it is of no use under others.
  if (kind === 'worker') collectGarbageRarely();
  if (process.env.NODE_DISABLE_COMPILE_CACHE === '1') return;
  const folder = folderOfCode();
  if (folder === undefined) return;
  if ('enableCompileCache' in module) {
    (module as { enableCompileCache(folder: string): unknown }).enableCompileCache(folder);
    return;
  }
  const cache = new CodeCache(folder, kind);
  const { _compile } = modules;
  modules._compile = function compile(content, filename) {
    if (!kept.test(filename)) return _compile.call(this, content, filename);
    const run = cache.compile(content, filename);
    const require = Object.assign(createRequire(filename), { main: process.mainModule });
    return run.call(this.exports, this.exports, require, this, filename, dirname(filename));
  };
  const save = () => cache.save();
  setTimeout(save, startMs).unref();
  process.on('exit', save);
}

/** Undefined for a user without a home folder, and where others may write to the folder: what lies there is run. */
function folderOfCode(): string | undefined {
  try {
    const folder = join(cacheFolder(), 'code');
    const there = lstatSync(folder, { throwIfNoEntry: false });
    return there === undefined || (there.isDirectory() && isOwn(there)) ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** Whether it is this user's, and nobody else may write to it. */
function isOwn({ uid, mode }: Stats): boolean {
  return (process.getuid === undefined || uid === process.getuid()) && (mode & writableByOthers) === 0;
}

type CompiledModule = (this: unknown, ...given: unknown[]) => unknown;

/** Bytes before the code: a checksum of it and of the size and time of its file; V8 looks at neither. */
const headerBytes = 4;

class CodeCache {
  /** V8's version and flags: code that is made under other ones is of no use. */
  private readonly version = cachedDataVersionTag();
  /** Scripts that are not kept yet, by the file for each. */
  private readonly fresh = new Map<string, { script: Script; stamp: number }>();

  constructor(
    private readonly folder: string,
    private readonly kind: string,
  ) {}

  compile(content: string, filename: string): CompiledModule {
    const about = [filename, this.kind, this.version, process.version, process.arch].join(' ');
    const file = join(this.folder, `${createHash('sha256').update(about).digest('hex').slice(0, 32)}.bin`);
    const { size, mtimeMs } = statSync(filename);
    const stamp = crc32(`${size} ${mtimeMs}`);
    const cachedData = readCode(file, stamp);
    const script = new Script(module.wrap(content), { filename, cachedData });
    if (cachedData === undefined || script.cachedDataRejected) this.fresh.set(file, { script, stamp });
    return script.runInThisContext() as CompiledModule;
  }

  /** Keeps what is not kept yet. What cannot be written is compiled again the next time. */
  save(): void {
    if (this.fresh.size === 0 || cachedDataVersionTag() !== this.version) return;
    try {
      makeFolder(this.folder, 0o700);
      for (const [file, { script, stamp }] of this.fresh) {
        const code = script.createCachedData();
        const header = Buffer.alloc(headerBytes);
        header.writeUInt32LE(crc32(code, stamp));
        const whole = `${file}.${process.pid}-${threadId}`;
        writeFileSync(whole, Buffer.concat([header, code]), { mode: 0o600 });
        renameSync(whole, file);
      }
      removeOldest(this.folder);
    } catch {
      // Compiling takes longer, and that is all.
    }
    this.fresh.clear();
  }
}

function removeOldest(folder: string): void {
  const names = readdirSync(folder);
  if (names.length <= files.most) return;
  const newestFirst = names
    .map((name) => ({ name, time: statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.time - a.time);
  for (const { name } of newestFirst.slice(files.kept)) rmSync(join(folder, name), { force: true });
}

function readCode(file: string, stamp: number): Buffer | undefined {
  try {
    if (!isOwn(lstatSync(file))) return undefined;
    const whole = readFileSync(file);
    const code = whole.subarray(headerBytes);
    return crc32(code, stamp) === whole.readUInt32LE(0) ? code : undefined;
  } catch {
    return undefined;
  }
}
