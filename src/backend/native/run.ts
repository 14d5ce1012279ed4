import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { messageOf } from '../../util/errors.js';

export const minute = 60_000;

/** Runs a program to its end, for at most `timeout` ms; rejects with the last line of its error output. */
export async function runCommand(
  program: string,
  args: readonly string[],
  timeout: number,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      timeout,
      env,
      killSignal: 'SIGKILL',
      maxBuffer: 2 ** 26,
    });
    return stdout;
  } catch (error) {
    const { killed, stderr } = error as { killed?: boolean; stderr?: string };
    if (killed) throw new Error(`${program} did not end within ${timeout / minute} minutes`);
    throw new Error(stderr?.trim().split('\n').pop() || messageOf(error));
  }
}
