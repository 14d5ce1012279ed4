import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { adapterVariable, type AdapterDescription } from './dawn.js';
import { messageOf, UserError, type ErrorReport } from '../../util/errors.js';

/**
 * The adapters that WebGPU finds here, GPUs first; where the user has set `POD_DIST_WEBGPU_ADAPTER`, those whose name
 * contains it.
 *
 * @throws UserError `BACKEND_UNAVAILABLE` where Dawn does not load
 */
export async function findAdapters(): Promise<AdapterDescription[]> {
  const script = fileURLToPath(new URL('./adapter-list.js', import.meta.url));
  let answer: AdapterDescription[] | ErrorReport;
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 30_000 });
    answer = JSON.parse(stdout) as typeof answer;
  } catch (error) {
    const cause = messageOf(error).split('Warning:')[0];
    throw new UserError(
      'BACKEND_UNAVAILABLE',
      `the graphics driver fails when it is asked for GPUs: ${cause}`,
    );
  }
  if (!Array.isArray(answer)) throw new UserError(answer.code, answer.message);
  const wanted = process.env[adapterVariable];
  return wanted === undefined ? answer : answer.filter(({ name }) => name.includes(wanted));
}
