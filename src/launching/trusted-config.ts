import { join } from 'node:path';
import { checkpointFolder, type Checkpoint } from '../checkpoint/checkpoint.js';
import type { Override } from '../config/layer.js';
import type { Config } from '../config/schema.js';
import { withoutOutsideFiles } from '../config/stored.js';
import { allowedModel } from '../models/module-source.js';

/** Settings that a user gives over a recipe. */
export interface GivenSettings {
  /** `a.b=value`, each over what the recipe says. */
  set?: readonly string[];
  /** Settings that stand over everything else. */
  flags?: readonly Override[];
  /**
   * Module of a backbone that may be imported: a path, '' for the one that the checkpoint names, undefined for known
   * modules only.
   */
  allowedModule?: string;
}

interface StoredConfigOptions {
  given: GivenSettings;
  /** Folder of the run. */
  folder: string;
  resume?: Checkpoint;
  notify(line: string): void;
}

/**
 * A run folder's own configuration, as far as it can be trusted: it was written by the maker of the folder. It names
 * no file to write outside of the folder and no module that is unknown here, unless the user does.
 */
export function trustedConfig(
  config: Config,
  { given, folder, resume, notify }: StoredConfigOptions,
): Config {
  const { flags = [], set = [], allowedModule } = given;
  const paths = [...flags.map(({ path }) => path), ...set.map((assignment) => assignment.split('=')[0])];
  const named = (path: string) => paths.some((key) => key === path || path.startsWith(`${key}.`));
  const { kept, left } = withoutOutsideFiles(config, folder, named);
  for (const line of left) notify(line);
  if (named('model.path')) return kept;
  const copy = resume?.module;
  const stored = {
    model: kept.model,
    copy,
    folder: copy && resume ? checkpointFolder(join(folder, 'checkpoints'), resume.epochs) : folder,
  };
  return { ...kept, model: allowedModel(stored, allowedModule) };
}
