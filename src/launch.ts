import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { placeModule } from './config/recipe.js';
import type { ConfigInput } from './config/schema.js';
import { PodDistError, UserError } from './errors.js';
import type { Report } from './training/run-record.js';

export interface LaunchOptions {
  /** Run folder; default `runs/<name>`. */
  outDir?: string;
  /** Go on from the newest checkpoint in `outDir`. */
  resume?: boolean;
  /** Stops the job. */
  signal?: AbortSignal;
}

/**
 * Trains with `config.workers` worker processes, as the command `pod-dist launch` does, and resolves with the
 * report. Rejects with the command's last line: `UserError` for a mistake in the input, else `PodDistError`.
 */
export async function launch(config: ConfigInput, options: LaunchOptions = {}): Promise<Report> {
  const folder = await mkdtemp(join(tmpdir(), 'pod-dist-config-'));
  try {
    const file = join(folder, 'config.yaml');
    const settings = structuredClone(config);
    placeModule(settings, '.');
    await writeFile(file, stringify(settings));
    const args = ['launch', '--config', file, '--json'];
    if (options.outDir) args.push('--out', options.outDir);
    if (options.resume) args.push('--resume');
    return JSON.parse(await command(args, options.signal)) as Report;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function command(args: string[], signal?: AbortSignal): Promise<string> {
  const cli = fileURLToPath(new URL('../launcher/cli.js', import.meta.url));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args], {
      signal,
      maxBuffer: 2 ** 28,
    });
    return stdout;
  } catch (error) {
    const { code, stderr } = error as { code?: number; stderr?: string };
    const line = stderr?.trim().split('\n').pop() ?? String(error);
    throw code === 2
      ? new UserError('LAUNCH_REFUSED', line)
      : new PodDistError('LAUNCH_FAILED', line, { cause: error });
  }
}
