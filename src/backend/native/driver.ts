import { UserError } from '../../util/errors.js';
import { askNvidiaSmi } from '../devices/nvidia.js';
import { tensorflowVersion } from './cache.js';
import type { SetupProgress } from './library.js';

/**
 * The oldest driver for the CUDA that TensorFlow's wheel is built with: every CUDA 12 works with it (NVIDIA, "CUDA
 * Compatibility", minor version compatibility).
 */
const oldestDriver = { cuda: '12', version: '525.60.13' };

/**
 * Compares the NVIDIA driver with the CUDA that the wheel is built with; where there is no driver it says so, since the
 * addon then computes on the processor.
 *
 * @throws UserError `SETUP_FAILED` where the driver is too old
 */
export async function checkDriver(progress: SetupProgress): Promise<void> {
  const driver = await findDriver();
  if ('none' in driver) {
    progress.step(
      `no NVIDIA driver here (${driver.none}): the addon computes on the processor until there is one`,
    );
    return;
  }
  const { cuda, version } = oldestDriver;
  if (isOlder(driver.version, version))
    throw new UserError(
      'SETUP_FAILED',
      `the NVIDIA driver ${driver.version} is too old for CUDA ${cuda}, which TensorFlow ${tensorflowVersion} needs: update it to ${version} or later, or build for the processor with --cuda=false`,
    );
  progress.step(`NVIDIA driver ${driver.version}, TensorFlow for CUDA ${cuda}`);
}

async function findDriver(): Promise<{ version: string } | { none: string }> {
  const { output, none } = await askNvidiaSmi(['--query-gpu=driver_version', '--format=csv,noheader']);
  if (output === undefined) return { none };
  const [version = ''] = output.trim().split('\n');
  return /^\d+(\.\d+)*$/.test(version) ? { version } : { none: 'nvidia-smi lists no GPU' };
}

function isOlder(version: string, than: string): boolean {
  const [numbers, others] = [version, than].map((one) => one.split('.').map(Number));
  const index = others.findIndex((part, place) => (numbers[place] ?? 0) !== part);
  return index >= 0 && (numbers[index] ?? 0) < others[index];
}
