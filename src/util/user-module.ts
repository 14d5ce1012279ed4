import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { register } from 'node:module';
import { basename, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Jiti } from 'jiti';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { cacheFolder } from './cache-folder.js';
import type { ErrorCode } from './error-codes.js';
import { messageOf, UserError } from './errors.js';
import { makeFolder } from './make-folder.js';
import { packageEntry } from './package-entry.js';
import { readRegularFile, readRegularText } from './regular-file.js';

/** The file of a user's own backbone, or of a plug-in. */
export interface ModuleSource {
  /** Without folders. */
  name: string;
  sha256: string;
  text: Buffer;
}

/** A module is source text. */
const mostModuleBytes = 16 * 2 ** 20;

/**
 * The source of a module; undefined where there is nothing.
 *
 * @throws UserError `code` for what is no file
 */
export function readModule(path: string, code: ErrorCode): ModuleSource | undefined {
  if (!existsSync(path)) return undefined;
  const text = readRegularFile(resolve(path), { mostBytes: mostModuleBytes, code });
  return { name: basename(path), sha256: createHash('sha256').update(text).digest('hex'), text };
}

/**
 * Imports a module, which runs it.
 *
 * @throws UserError `code`, in one line with the file
 */
export async function importModule(file: string, code: ErrorCode): Promise<Module> {
  const hasTypes = /^\.[mc]?ts$/.test(extname(file));
  findOwnPackage();
  try {
    return hasTypes ? await importTyped(file) : await importNative(file);
  } catch (error) {
    const reason = error instanceof UserError ? messageOf(error) : `cannot be imported: ${messageOf(error)}`;
    throw new UserError(code, `${file}: ${reason}`);
  }
}

type Module = Record<string, unknown>;

async function importNative(file: string): Promise<Module> {
  return (await import(pathToFileURL(resolve(file)).href)) as Module;
}

let typed: Promise<Jiti> | undefined;

/**
 * Imports TypeScript. Node.js, from 22.18 on, removes types itself, but knows no enums, namespaces and the like, which it
 * finds before anything has run; these, and older versions, take jiti.
 */
async function importTyped(file: string): Promise<Module> {
  if ('typescript' in process.features && process.features.typescript) {
    try {
      return await importNative(file);
    } catch (error) {
      if (!/^ERR_\w+_TYPESCRIPT_SYNTAX$/.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  typed ??= startTyped();
  return (await typed).import(resolve(file));
}

async function startTyped(): Promise<Jiti> {
  const { createJiti } = await import('jiti');
  const own = (await import(packageEntry)) as Module;
  return createJiti(packageEntry, {
    fsCache: false,
    interopDefault: false,
    virtualModules: { 'pod-dist': own },
  });
}

let isFound = false;

/**
 * Lets modules that import pod-dist have this very copy of it, wherever they lie: another one has registries, and a
 * TensorFlow.js, of its own.
 */
function findOwnPackage(): void {
  if (isFound) return;
  isFound = true;
  const own = JSON.stringify(packageEntry);
  const hook = `export const resolve = (specifier, context, next) =>
    specifier === 'pod-dist' ? { url: ${own}, shortCircuit: true } : next(specifier, context);`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}

/** Records, for this user and machine, that a module was named to be trained with: its content and its path. */
export function rememberModule(path: string, { sha256 }: ModuleSource): void {
  try {
    makeFolder(memoryFolder(), 0o700);
    writeFileAtomicSync(join(memoryFolder(), sha256), resolve(path), { mode: 0o600 });
  } catch {
    // Without it a module is to be allowed by name; training needs nothing of it.
  }
}

/** A module that a checkpoint or run folder names. */
export interface StoredModule {
  /** Path in its recipe. */
  path: string;
  /** The copy in the checkpoint, and the file that it is in. */
  copy?: { source: ModuleSource; file: string };
  /** Folder of the checkpoint or run. */
  folder: string;
  /** Code of the error where there is no such file. */
  missing: ErrorCode;
  /** Advice about a module that may not be imported, besides `--allow-module`. */
  advice: string;
}

/**
 * The file to import a stored module from. Importing runs code that the maker of the folder may have written. A module is
 * therefore only imported where the user has trained with the very same one on this machine: from where it lay then, or,
 * where it imports nothing but pod-dist and Node.js, from the copy in the checkpoint. `allow`: the user trusts the
 * folder, and whatever it names may be imported.
 *
 * @throws UserError `MODULE_NOT_ALLOWED`, or `missing` where there is no such file
 */
export function trustedModule(stored: StoredModule, allow: boolean): string {
  const { path, copy, folder, missing, advice } = stored;
  const there = readModule(path, missing);
  const source = copy?.source ?? there;
  if (!source)
    throw new UserError(
      missing,
      `${folder} was trained with the module ${path}, which is not there: ${advice}`,
    );
  const known = knownPath(source.sha256);
  if (known !== undefined && readModule(known, missing)?.sha256 === source.sha256) return resolve(known);
  const isWhole = copy !== undefined && importsNothing(copy.source);
  if (!allow && !(known !== undefined && isWhole))
    throw new UserError(
      'MODULE_NOT_ALLOWED',
      `${folder} names a module, ${path}, that has not been trained with on this machine as it is: opening it runs its code; if you trust it give --allow-module, or ${advice}`,
    );
  return resolve(there?.sha256 === source.sha256 || !copy ? path : copy.file);
}

function knownPath(sha256: string): string | undefined {
  const file = join(memoryFolder(), sha256);
  return existsSync(file) ? readRegularText(file, { mostBytes: mostModuleBytes }) : undefined;
}

/** Imports that mean the same wherever the module lies. */
const ownImports = /^\s*import\s+[\w\s{},*$]+\s+from\s*(['"])(?:pod-dist|node:[\w/]+)\1;?/gm;

function importsNothing({ text }: ModuleSource): boolean {
  const rest = text.toString().replace(ownImports, '');
  return !/\b(?:import|require|createRequire)\b|\bfrom\s*['"]/.test(rest);
}

function memoryFolder(): string {
  return join(cacheFolder(), 'modules');
}
