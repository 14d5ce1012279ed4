import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { messageOf, UserError } from '../../util/errors.js';

export interface FoundGpus {
  /** Names as in `CUDA_VISIBLE_DEVICES`: indices, or the UUIDs that the user gave. */
  gpus: string[];
  /** Reason why there are none. */
  none: string;
}

/** Listing of nvidia-smi: GPUs with their UUIDs, and the UUIDs of the parts (MIG) that some are divided into. */
interface Machine {
  gpus: { index: string; uuid: string }[];
  parts: string[];
  none: string;
}

/** Values of `CUDA_VISIBLE_DEVICES` that hide every GPU. */
const hidesAll = new Set(['', '-1', 'NoDevFiles', 'none', 'void']);

/**
 * GPUs that this process may use: all that nvidia-smi lists, or those that `CUDA_VISIBLE_DEVICES` names, by index, by
 * UUID or the beginning of one. `-1` ends the list, as in CUDA. CUDA itself sees no GPU, or fewer, where an entry is
 * unknown or stands twice; here that is an error which says the value.
 *
 * @throws UserError `GPU_UNAVAILABLE`
 */
export async function findGpus(environment: NodeJS.ProcessEnv = process.env): Promise<FoundGpus> {
  const visible = environment.CUDA_VISIBLE_DEVICES?.trim();
  if (visible !== undefined && hidesAll.has(visible))
    return { gpus: [], none: `CUDA_VISIBLE_DEVICES is "${visible}"` };
  const machine = await listMachine(environment);
  if (machine.gpus.length === 0) return { gpus: [], none: machine.none };
  if (visible === undefined) return { gpus: machine.gpus.map(({ index }) => index), none: '' };
  const entries = visible.split(',').map((entry) => entry.trim());
  const end = entries.indexOf('-1');
  const named = end < 0 ? entries : entries.slice(0, end);
  const refuse = (reason: string) =>
    new UserError(
      'GPU_UNAVAILABLE',
      `CUDA_VISIBLE_DEVICES is "${visible}": ${reason}; GPUs here are ${machine.gpus.map(({ index }) => index).join(', ')}, and unset it means all`,
    );
  const known = named.map((entry) => identify(entry, machine, refuse));
  const twice = known.findIndex((one, index) => known.indexOf(one) !== index);
  if (twice >= 0) throw refuse(`${named[twice]} is a GPU that it names twice`);
  return { gpus: named, none: `CUDA_VISIBLE_DEVICES is "${visible}"` };
}

/** UUID of the GPU, or part of one, that an entry names. */
function identify(entry: string, { gpus, parts }: Machine, refuse: (reason: string) => UserError): string {
  const byIndex = /^\d+$/.test(entry) ? gpus.find(({ index }) => index === String(Number(entry))) : undefined;
  if (byIndex) return byIndex.uuid;
  if (/^(GPU|MIG)-./.test(entry)) {
    const uuids = [...gpus.map(({ uuid }) => uuid), ...parts].filter((uuid) => uuid.startsWith(entry));
    if (uuids.length === 1) return uuids[0];
    if (uuids.length > 1) throw refuse(`${entry} begins the UUIDs of ${uuids.length} GPUs`);
    if (gpus.some(({ uuid }) => entry.startsWith(`MIG-${uuid}/`))) return entry;
  }
  throw refuse(entry === '' ? 'an entry is empty' : `there is no GPU ${entry}`);
}

async function listMachine({ NVIDIA_VISIBLE_DEVICES: container }: NodeJS.ProcessEnv): Promise<Machine> {
  const without = (none: string): Machine => ({ gpus: [], parts: [], none });
  const { output, none } = await askNvidiaSmi(['--list-gpus']);
  if (output === undefined && container !== undefined && ['', 'none', 'void'].includes(container))
    return without(`NVIDIA_VISIBLE_DEVICES is "${container}": the container was started without GPUs`);
  if (output === undefined) return without(none);
  const gpus = [...output.matchAll(/^GPU (\d+):.*\(UUID: ([^)\s]+)\)/gm)];
  const parts = [...output.matchAll(/^\s+MIG .*\(UUID: ([^)\s]+)\)/gm)];
  if (gpus.length === 0) return without('nvidia-smi lists none');
  return {
    gpus: gpus.map(([, index, uuid]) => ({ index, uuid })),
    parts: parts.map(([, uuid]) => uuid),
    none: '',
  };
}

/** What nvidia-smi prints, or why it says nothing. */
export async function askNvidiaSmi(
  args: readonly string[],
): Promise<{ output: string; none?: undefined } | { output?: undefined; none: string }> {
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', args, { timeout: 10_000 });
    return { output: stdout };
  } catch (error) {
    const { code, stdout = '' } = error as NodeJS.ErrnoException & { stdout?: string };
    if (code === 'ENOENT') return { none: 'there is no nvidia-smi' };
    return { none: `nvidia-smi fails: ${stdout.trim().split('\n')[0] || messageOf(error)}` };
  }
}
