import { join } from 'node:path';
import { checkpointFolder, type Checkpoint } from '../../src/checkpoint/checkpoint.js';
import type { Config } from '../../src/config/schema.js';
import { withoutOutsideFiles } from '../../src/config/stored.js';
import { allowedModel } from '../../src/models/module-source.js';
import { allowedModule, overrides, type ModuleArguments } from '../flags.js';

interface StoredArguments extends ModuleArguments {
  set: string[];
}

interface StoredConfigOptions {
  args: StoredArguments;
  /** Of the run. */
  folder: string;
  resume?: Checkpoint;
  notify(line: string): void;
}

/**
 * A run folder's own configuration, as far as it may be followed: whoever made the folder wrote it. It names no file to
 * write outside of the folder and no module that is unknown here, unless the command line does.
 */
export function trustedConfig(config: Config, { args, folder, resume, notify }: StoredConfigOptions): Config {
  const given = [
    ...overrides({ ...args }).map(({ path }) => path),
    ...args.set.map((assignment) => assignment.split('=')[0]),
  ];
  const named = (path: string) => given.some((key) => key === path || path.startsWith(`${key}.`));
  const { kept, left } = withoutOutsideFiles(config, folder, named);
  for (const line of left) notify(line);
  if (named('model.path')) return kept;
  const copy = resume?.module;
  const stored = {
    model: kept.model,
    copy,
    folder: copy && resume ? checkpointFolder(join(folder, 'checkpoints'), resume.epochs) : folder,
  };
  return { ...kept, model: allowedModel(stored, allowedModule(args)) };
}
