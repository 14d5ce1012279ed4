import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { devicesOf } from '../backend/backends.js';
import { readGpus, type DevicePlan } from '../backend/devices/devices.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { noneAllowed, storedPlugins } from '../checkpoint/modules.js';
import { loadConfig } from '../config/load.js';
import { checkPlugins, importPlugins } from '../config/plugins.js';
import { pixelRulesOf, type Config, type ConfigInput } from '../config/schema.js';
import { openDataset, openUnknown } from '../data/index.js';
import { checkWorkers } from '../parallel/virtual-workers.js';
import {
  checkpointToResume,
  checkResumable,
  checkSameData,
  checkUnfinished,
  describeChanges,
} from '../training/resume.js';
import { modulesOfRun, trustedConfig, type GivenSettings } from './trusted-config.js';

/** Choice where the run to go on with has no checkpoint yet: start it, or refuse. */
export type Resume = 'start' | 'must';

/** Request to train a run. */
export interface RunRequest extends GivenSettings {
  /** Recipe: a YAML file, or the name of a shipped one; default: the run's own on a resume, else `digits`. */
  file?: string;
  /** A configuration in place of a recipe. */
  base?: ConfigInput;
  /** GPUs, one a worker: a number, or `all`. */
  gpus?: string;
  /** Run folder; default: the first of `runs/<name>`, `runs/<name>-2`, ... that is free. */
  out?: string;
  resume?: Resume;
  requireGpu?: boolean;
}

/** Plan of a run, checked before anything is written. */
export interface RunPlan {
  config: Config;
  resume?: Checkpoint;
  devices: DevicePlan;
  /** Number of training images. */
  images: number;
}

type Notify = (line: string) => void;

/**
 * Reads the recipe, the checkpoint and the data set, and refuses what cannot be trained. `folder` is the run to go on
 * with; `notify` is called with lines for people.
 *
 * @throws UserError with the first mistake
 */
export async function planRun(
  request: RunRequest,
  folder: string | undefined,
  notify: Notify,
): Promise<RunPlan> {
  const { base, set, requireGpu = false } = request;
  const own = folder && join(folder, 'config.yaml');
  const file = request.file ?? (own && !base && existsSync(own) ? own : undefined);
  const stored = folder !== undefined && file === own ? folder : undefined;
  const onDropped = stored ? notify : undefined;
  const resume = folder === undefined ? undefined : await checkpointToResume(folder, request.resume, notify);
  const pixelRules = resume && pixelRulesOf(resume.config.data);
  const modules = stored === undefined ? undefined : modulesOfRun(stored, resume);
  const { allowed = noneAllowed } = request;
  const plugins = modules && storedPlugins(modules.folder, modules.modules, allowed);
  const given = { file, base, set, flags: request.flags };
  const flags = [...(given.flags ?? []), ...(await importPlugins(given, plugins))];
  const wanted = readGpus(request.gpus);
  let gpus: number | undefined;
  if (wanted !== undefined) {
    const quiet = onDropped && (() => {});
    const { backend } = loadConfig({ file, base, set, flags, onDropped: quiet });
    gpus = wanted === 'all' ? Math.max(1, await devicesOf(backend).countGpus()) : wanted;
    flags.push({ path: 'workers', value: gpus, source: `--gpus ${request.gpus}` });
  }
  const loaded = loadConfig({ file, base, set, flags, onDropped, pixelRules, choices: resume?.config });
  const config =
    stored !== undefined && modules
      ? trustedConfig(loaded, { given: request, folder: stored, stored: modules, notify })
      : loaded;
  checkPlugins(config);
  if (resume && folder !== undefined) {
    checkUnfinished(folder, resume, config);
    checkResumable(resume, config);
  }
  checkWorkers(config, config.workers);
  const devices = await devicesOf(config.backend).plan({
    gpus,
    workers: config.workers,
    requireGpu,
    bindCores: config.distributed.bindCores,
  });
  return { config, resume, devices, images: await checkData(config, resume, notify) };
}

async function checkData(config: Config, resume: Checkpoint | undefined, notify: Notify): Promise<number> {
  const quiet = config.workers === 1 ? () => {} : undefined;
  const dataset = await openDataset(config.data, { seed: config.seed, notify: quiet });
  await (await openUnknown(config, dataset))?.close();
  if (resume) {
    checkSameData(resume, dataset);
    const changes = await describeChanges(resume, config, dataset);
    if (changes) notify(changes);
  }
  await dataset.close();
  return dataset.labels.train.length;
}
