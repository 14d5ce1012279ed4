import { loadConfig } from '../src/config/load.js';
import { importPlugins } from '../src/config/plugins.js';
import { UserError } from '../src/util/errors.js';
import { overrides, workerArguments, type EndArguments, type ModuleArguments } from './flags.js';

/** Flags of commands that write down how a job is to be started. */
export interface JobFlags extends ModuleArguments, EndArguments {
  config?: string;
  set: string[];
  out?: string;
  workers?: string;
}

/** What a job that is started later needs: the recipe is read now, so that its mistakes are found now. */
export async function readJobFlags(args: JobFlags) {
  const { config: file, set, out, workers = '1' } = args;
  if (!/^[1-9]\d*$/.test(workers)) throw new UserError('USAGE', `--workers ${workers}: give a whole number`);
  const given = { file, set, flags: overrides({ ...args, workers: undefined }) };
  const config = loadConfig({ ...given, flags: [...given.flags, ...(await importPlugins(given))] });
  const worker = workerArguments({ ...args, out: undefined, resume: 'start' });
  return { name: config.name, workers: Number(workers), worker, out };
}
