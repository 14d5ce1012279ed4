import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bindingCommands } from '../../src/backend/devices/core-binding.js';
import { PodDistError } from '../../src/util/errors.js';
import type { Experiment } from './experiments.js';
import { divergedFile, seedsOf, type Results } from './results.js';

const cli = fileURLToPath(new URL('../../launcher/cli.js', import.meta.url));

/** Characters kept of what a run writes to its error stream. */
const mostErrors = 10_000;

const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const divergence = /error (?:LOSS|GRADIENT)_NOT_FINITE: .*/;

export interface RunsOptions {
  /** Further arguments of every `pod-dist launch`. */
  launch: readonly string[];
  /** Runs at a time, each on its own share of the cores. */
  atOnce: number;
  notify(line: string): void;
}

/**
 * Trains what has not ended yet, seed by seed, so that groups can be compared before all have ended. A run that was cut
 * off goes on from its checkpoint. One that diverges has ended too, with that result. Where one fails, all end.
 *
 * @throws PodDistError `BENCHMARK_FAILED` where a run ends in another way
 */
export async function train(
  name: string,
  { recipe, groups }: Experiment,
  results: Results,
  { launch, atOnce, notify }: RunsOptions,
): Promise<void> {
  const all = groups
    .flatMap((group) =>
      seedsOf(group).map((seed) => ({ group, seed, folder: results.folderOf(group, seed) })),
    )
    .sort((a, b) => a.seed - b.seed);
  const missing = all.filter(({ group, seed }) => !results.find(group, seed));
  for (const { group, seed } of all) results.keep(group, seed);
  const waiting = missing.entries();
  const commands = bindingCommands(atOnce);
  const failure = new AbortController();
  const work = async (place: number) => {
    for (const [index, { group, seed, folder }] of waiting) {
      if (failure.signal.aborted) return;
      notify(`${name}: run ${index + 1} of ${missing.length}: ${group.label}, seed ${seed}`);
      const resume = existsSync(join(folder, 'checkpoints')) ? ['--resume'] : [];
      const settings = [...group.settings, `checkpoint.keep=1`].flatMap((setting) => ['--set', setting]);
      const where = ['--config', recipe, '--workers', String(group.workers ?? 1), '--seed', String(seed)];
      const args = ['launch', '--out', folder, ...resume, ...where, ...settings, ...launch];
      const within = commands?.[place] ?? [];
      const { outcome, errors } = await run([...within, process.execPath, cli, ...args], failure.signal);
      if (outcome !== undefined) {
        const [error] = divergence.exec(errors) ?? [];
        if (error === undefined)
          throw new PodDistError('BENCHMARK_FAILED', `a run ended with ${outcome}: ${errors.trim()}`);
        notify(`${name}: ${error}`);
        writeFileSync(join(folder, divergedFile), `${error}\n`);
      }
      results.keep(group, seed);
    }
  };
  const places = Array.from({ length: atOnce }, (_, place) => place);
  await Promise.all(places.map((place) => work(place).catch((error: unknown) => failure.abort(error))));
  failure.signal.throwIfAborted();
}

/** Runs a command to its end; a signal to this process, and `stop`, end it. No outcome is success. */
async function run(
  [command, ...args]: readonly string[],
  stop: AbortSignal,
): Promise<{ outcome?: string; errors: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (errors = (errors + text).slice(-mostErrors)));
  const end = (signal: NodeJS.Signals) => child.kill(signal);
  const abort = () => end('SIGTERM');
  for (const signal of endSignals) process.on(signal, end);
  stop.addEventListener('abort', abort);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  for (const signal of endSignals) process.off(signal, end);
  stop.removeEventListener('abort', abort);
  return code === 0 ? { errors } : { outcome: signal ?? `exit code ${code}`, errors };
}
