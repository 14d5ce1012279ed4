import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { checkConfig } from './config/load.js';
import { placeModule } from './config/recipe.js';
import type { ConfigInput } from './config/schema.js';
import { PodDistError, StoppedError, UserError, type ErrorReport } from './util/errors.js';
import type { Report } from './record/records.js';

export interface LaunchOptions {
  /** Run folder; default `runs/<name>`. */
  outDir?: string;
  /** Go on from the newest checkpoint in `outDir`, or start where there is none. */
  resume?: boolean;
  /** Stops the job. */
  signal?: AbortSignal;
  /** Told each line that the command would print: every epoch, and what is amiss. */
  onLine?(line: string): void;
}

/** What the command prints with `--json`. */
type Answer = Report | { error: ErrorReport };

/**
 * Trains with `config.workers` worker processes, as the command `pod-dist launch` does, and resolves with the report,
 * once they have ended. Rejects as the command fails: with a `UserError` for a mistake in the input, else with a
 * `PodDistError`, such as `STOPPED` after `signal`.
 */
export async function launch(config: ConfigInput, options: LaunchOptions = {}): Promise<Report> {
  const settings = structuredClone(config);
  placeModule(settings, '.');
  checkConfig(settings, 'config');
  const folder = await mkdtemp(join(tmpdir(), 'pod-dist-config-'));
  try {
    const file = join(folder, 'config.yaml');
    await writeFile(file, stringify(settings));
    const args = ['launch', '--config', file, '--json'];
    if (options.outDir) args.push('--out', options.outDir);
    if (options.resume) args.push('--resume');
    return await command(args, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function command(args: string[], { signal, onLine }: LaunchOptions): Promise<Report> {
  const cli = fileURLToPath(new URL('../launcher/cli.js', import.meta.url));
  if (signal?.aborted) throw new StoppedError();
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = () => void child.kill('SIGTERM');
  signal?.addEventListener('abort', stop);
  let printed = '';
  let last = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  createInterface({ input: child.stderr }).on('line', (line) => {
    last = line;
    onLine?.(line);
  });
  try {
    const [code, killed] = (await once(child, 'close')) as [number | null, string | null];
    const answer = readAnswer(printed);
    if (!answer && signal?.aborted) throw new StoppedError();
    if (!answer)
      throw new PodDistError('LAUNCH_FAILED', last || `pod-dist launch has ended (${killed ?? code})`);
    if (!('error' in answer)) return answer;
    const { error } = answer;
    throw code === 2 ? new UserError(error.code, error.message) : new PodDistError(error.code, error.message);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

function readAnswer(printed: string): Answer | undefined {
  try {
    return JSON.parse(printed) as Answer;
  } catch {
    return undefined;
  }
}
