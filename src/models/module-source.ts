import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { cacheFolder } from '../util/cache-folder.js';
import type { ModelConfig } from './schema.js';
import { UserError } from '../util/errors.js';
import { makeFolder } from '../util/make-folder.js';
import { readRegularFile, readRegularText } from '../util/regular-file.js';

/** The file of a user's own backbone. */
export interface ModuleSource {
  /** Without folders. */
  name: string;
  sha256: string;
  text: Buffer;
}

/** A module is source text. */
const mostModuleBytes = 16 * 2 ** 20;

/**
 * The source of a model that is a module; undefined for one that ships with pod-dist, or where there is nothing.
 *
 * @throws UserError `MODEL_NOT_FOUND` for what is no file
 */
export function readModuleSource(model: ModelConfig): ModuleSource | undefined {
  if (model.name !== 'module') return undefined;
  const path = resolve(model.path);
  if (!existsSync(path)) return undefined;
  const text = readRegularFile(path, { mostBytes: mostModuleBytes, code: 'MODEL_NOT_FOUND' });
  return { name: basename(path), sha256: createHash('sha256').update(text).digest('hex'), text };
}

/** Records, for this user and machine, that a module was named to be trained with: its content and its path. */
export function rememberModule(model: ModelConfig): void {
  const source = readModuleSource(model);
  if (!source || model.name !== 'module') return;
  try {
    makeFolder(memoryFolder(), 0o700);
    writeFileAtomicSync(join(memoryFolder(), source.sha256), resolve(model.path), { mode: 0o600 });
  } catch {
    // Without it a module is to be allowed by name; training needs nothing of it.
  }
}

interface Stored {
  /** Model as a checkpoint or run folder names it. */
  model: ModelConfig;
  /** The copy in the checkpoint. */
  copy?: ModuleSource;
  /** Folder of the checkpoint. */
  folder: string;
}

/**
 * The model of a checkpoint or run folder, with the module to import where it is one. Importing runs code that the
 * maker of the folder may have written. Without `allow` a module is therefore only imported where the user has trained
 * with the very same one on this machine: from where it lay then, or, where it imports nothing itself, from the copy
 * in the checkpoint. `allow` is a path given by the user, or '' to allow the module that the checkpoint names.
 *
 * @throws UserError `MODULE_NOT_ALLOWED`, or `MODEL_NOT_FOUND` where there is no such file
 */
export function allowedModel({ model, copy, folder }: Stored, allow: string | undefined): ModelConfig {
  if (model.name !== 'module') return model;
  const at = (path: string) => ({ ...model, path: resolve(path) });
  if (allow) return at(allow);
  const there = readModuleSource(model);
  const source = copy ?? there;
  if (!source)
    throw new UserError(
      'MODEL_NOT_FOUND',
      `${folder} was trained with the module ${model.path}, which is not there: give --module PATH`,
    );
  const known = knownPath(source.sha256);
  if (known !== undefined && readModuleSource(at(known))?.sha256 === source.sha256) return at(known);
  const isWhole = copy !== undefined && importsNothing(copy);
  if (allow === undefined && !(known !== undefined && isWhole))
    throw new UserError(
      'MODULE_NOT_ALLOWED',
      `${folder} names a module, ${model.path}, that has not been trained with on this machine as it is: opening it runs its code; if you trust it give --allow-module, or --module PATH for a file of your own`,
    );
  return there?.sha256 === source.sha256 || !copy ? at(model.path) : at(join(folder, copy.name));
}

function knownPath(sha256: string): string | undefined {
  const file = join(memoryFolder(), sha256);
  return existsSync(file) ? readRegularText(file, { mostBytes: mostModuleBytes }) : undefined;
}

function importsNothing({ text }: ModuleSource): boolean {
  return !/\b(?:import|require|createRequire)\b|\bfrom\s*['"]/.test(text.toString());
}

function memoryFolder(): string {
  return join(cacheFolder(), 'modules');
}
