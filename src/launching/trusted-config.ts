import { checkpointName, type Checkpoint } from '../checkpoint/checkpoint.js';
import type { Override } from '../config/layer.js';
import type { Config } from '../config/schema.js';
import { withoutOutsideFiles } from '../config/stored.js';
import { join } from 'node:path';
import { allowedModel, noneAllowed, type AllowedModules, type Modules } from '../checkpoint/modules.js';

/** Settings that a user gives over a recipe. */
export interface GivenSettings {
  /** `a.b=value`, each over what the recipe says. */
  set?: readonly string[];
  /** Settings that stand over everything else. */
  flags?: readonly Override[];
  /** Modules of the checkpoint that may be imported; default: those that were trained with on this machine. */
  allowed?: AllowedModules;
}

/** Where the copies of a run's modules are: its checkpoint, or nowhere. */
export interface StoredModules {
  modules: Modules;
  /** Folder of the checkpoint, or of the run. */
  folder: string;
}

export function modulesOfRun(run: string, resume: Checkpoint | undefined): StoredModules {
  const folder = resume ? join(run, 'checkpoints', checkpointName(resume)) : run;
  return { modules: resume ?? {}, folder };
}

interface StoredConfigOptions {
  given: GivenSettings;
  /** Folder of the run. */
  folder: string;
  stored: StoredModules;
  notify(line: string): void;
}

/**
 * A run folder's own configuration, as far as it can be trusted: it was written by the maker of the folder. It names
 * no file to write outside of the folder and no module that is unknown here, unless the user does.
 */
export function trustedConfig(
  config: Config,
  { given, folder, stored, notify }: StoredConfigOptions,
): Config {
  const { flags = [], set = [], allowed = noneAllowed } = given;
  const paths = [...flags.map(({ path }) => path), ...set.map((assignment) => assignment.split('=')[0])];
  const named = (path: string) => paths.some((key) => key === path || path.startsWith(`${key}.`));
  const { kept, left } = withoutOutsideFiles(config, folder, named);
  for (const line of left) notify(line);
  if (named('model.path')) return kept;
  return { ...kept, model: allowedModel(kept.model, stored.modules, { folder: stored.folder, allowed }) };
}
