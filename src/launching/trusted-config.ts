import { join } from 'node:path';
import { checkpointFolder, type Checkpoint } from '../checkpoint/checkpoint.js';
import type { Override } from '../config/layer.js';
import type { Config } from '../config/schema.js';
import { withoutOutsideFiles } from '../config/stored.js';
import { allowedModel } from '../models/module-source.js';

/** What a user has given over a recipe. */
export interface GivenSettings {
  /** `a.b=value`, each over what the recipe says. */
  set?: readonly string[];
  /** Settings that stand over everything else. */
  flags?: readonly Override[];
  /** Module of a backbone to import: a path, '' for the one that is named, undefined for known ones alone. */
  allowedModule?: string;
}

interface StoredConfigOptions {
  given: GivenSettings;
  /** Of the run. */
  folder: string;
  resume?: Checkpoint;
  notify(line: string): void;
}

/**
 * A run folder's own configuration, as far as it may be followed: whoever made the folder wrote it. It names no file to
 * write outside of the folder and no module that is unknown here, unless the user does.
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
