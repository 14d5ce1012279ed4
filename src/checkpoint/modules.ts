import { createHash } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import type { Config, ModelConfig } from '../config/schema.js';
import { importPlugins, type StoredPlugins } from '../config/plugins.js';
import { checkConfig, type LoadOptions } from '../config/load.js';
import { readModule, rememberModule, trustedModule, type ModuleSource } from '../util/user-module.js';

/** Copies of a user's own modules, as a checkpoint holds them. */
export interface Modules {
  /** The backbone, if it is a module. */
  module?: ModuleSource;
  /** The plug-ins, in the order of the recipe. */
  plugins?: readonly ModuleSource[];
}

/** Modules of a checkpoint or run folder that may be imported, besides those trained with on this machine. */
export interface AllowedModules {
  /** Any that the folder names. */
  all: boolean;
  /** Path of a backbone to import in place of the folder's. */
  backbone?: string;
}

export const noneAllowed: AllowedModules = { all: false };

/** Name of the copy of a plug-in in a checkpoint. */
export function pluginFile(index: number, { name }: Pick<ModuleSource, 'name'>): string {
  return `plugin-${index + 1}-${name}`;
}

/** Reads the modules that settings name, and records for this user and machine that they were trained with. */
export function modulesToTrainWith({ model, plugins }: Config): Modules {
  const read = (path: string) => {
    const source = readModule(path, 'FILE_UNUSABLE');
    if (source) rememberModule(path, source);
    return source;
  };
  const sources = plugins.flatMap((path) => read(path) ?? []);
  return {
    ...(model.name === 'module' ? { module: read(resolve(model.path)) } : {}),
    ...(sources.length > 0 ? { plugins: sources } : {}),
  };
}

/** SHA-256 over the content of modules, in their order. */
export function digestOf(modules: readonly ModuleSource[]): string {
  return createHash('sha256')
    .update(modules.map(({ sha256 }) => sha256).join())
    .digest('hex');
}

/** Names of the modules that settings name and whose content is not that of a checkpoint's copies. */
export function changedModules(
  { module, plugins = [] }: Modules,
  { model, plugins: paths }: Config,
): string[] {
  const named = [
    ...(model.name === 'module' ? [{ path: model.path, copy: module }] : []),
    ...paths.map((path, index) => ({ path, copy: plugins[index] })),
  ];
  const changed = named.filter(
    ({ path, copy }) => copy && readModule(path, 'FILE_UNUSABLE')?.sha256 !== copy.sha256,
  );
  return changed.map(({ path }) => basename(path));
}

/**
 * The model of a checkpoint or run folder, with the module to import where it is one (`trustedModule`).
 *
 * @throws UserError `MODULE_NOT_ALLOWED`, or `MODEL_NOT_FOUND` where there is no such file
 */
export function allowedModel(
  model: ModelConfig,
  { module }: Modules,
  { folder, allowed }: { folder: string; allowed: AllowedModules },
): ModelConfig {
  if (model.name !== 'module') return model;
  if (allowed.backbone !== undefined) return { ...model, path: resolve(allowed.backbone) };
  const copy = module && { source: module, file: join(folder, module.name) };
  const advice = '--module PATH for a file of your own';
  const stored = { path: resolve(model.path), copy, folder, missing: 'MODEL_NOT_FOUND', advice } as const;
  return { ...model, path: trustedModule(stored, allowed.all) };
}

/** Plug-ins of a checkpoint or run folder, of which `modules` are the copies in `folder`. */
export function storedPlugins(folder: string, { plugins }: Modules, allowed: AllowedModules): StoredPlugins {
  const copies = plugins?.map((source, index) => ({ source, file: join(folder, pluginFile(index, source)) }));
  return { folder, copies, allow: allowed.all };
}

/** Settings of a checkpoint, with the modules that may be imported, once its plug-ins are. */
export async function openConfig(
  config: Config,
  modules: Modules,
  { folder, allowed, set }: { folder: string; allowed: AllowedModules } & Pick<LoadOptions, 'set'>,
): Promise<Config> {
  const model = allowedModel(config.model, modules, { folder, allowed });
  const given = { ...config, model };
  const stored = storedPlugins(folder, modules, allowed);
  const [plugins] = await importPlugins({ base: config as never, set }, stored);
  return plugins === undefined ? given : checkConfig({ ...given, plugins: plugins.value }, folder);
}
