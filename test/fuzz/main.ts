import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { messageOf } from '../../src/util/errors.js';
import type { FuzzResult, FuzzTask } from './fuzz-thread.js';
import { Progress } from './progress.js';
import { targets } from './targets/index.js';

/** An input that takes longer counts as hanging. */
const hangMs = 60_000;
/** Exit code of Node.js if a promise is pending but nothing is left to do. */
const unsettled = 13;
const mostRssBytes = 2 * 2 ** 30;
const mostHeapMegabytes = 1024;

/** Runs one target in a thread, and ends the thread if it hangs or takes too much memory. */
async function run(task: Omit<FuzzTask, 'folder' | 'progress'>): Promise<FuzzResult> {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-fuzz-'));
  const progress = new Progress();
  const thread = new Worker(new URL('./fuzz-thread.js', import.meta.url), {
    workerData: { ...task, folder, progress: progress.memory } satisfies FuzzTask,
    resourceLimits: { maxOldGenerationSizeMb: mostHeapMegabytes },
    stdout: false,
  });
  let timer: NodeJS.Timeout | undefined;
  const watch = new Promise<never>((_, reject) => {
    let begun = progress.begun;
    let since = performance.now();
    timer = setInterval(() => {
      if (progress.begun !== begun) {
        begun = progress.begun;
        since = performance.now();
      }
      if (performance.now() - since > hangMs)
        reject(new Error(`an input has not come back for ${hangMs / 1000} s`));
      if (process.memoryUsage.rss() > mostRssBytes)
        reject(new Error(`the process takes ${mostRssBytes} bytes of memory`));
    }, 200);
  });
  const died = once(thread, 'exit').then(([code]) => {
    throw new Error(
      code === unsettled ? 'an input never comes to an end' : `the thread ended with ${String(code)}`,
    );
  });
  try {
    const [result] = (await Promise.race([once(thread, 'message'), watch, died])) as [FuzzResult];
    return result;
  } catch (error) {
    return { outcomes: [], slowestMs: 0, failure: { message: messageOf(error), input: progress.last } };
  } finally {
    clearInterval(timer);
    died.catch(() => {});
    await thread.terminate();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes an input to a file for `--input`. */
function keep(name: string, input: Uint8Array): string {
  mkdirSync('fuzz-failures', { recursive: true });
  const file = join('fuzz-failures', `${name}.input`);
  writeFileSync(file, input);
  return file;
}

const flags = await yargs(hideBin(process.argv))
  .scriptName('npm run fuzz --')
  .usage('$0 [--target NAME] [--runs N] [--seed N]: gives hostile inputs to what reads the bytes of others')
  .option('target', {
    type: 'string',
    array: true,
    choices: [...targets.keys()],
    default: [...targets.keys()],
  })
  .option('runs', { type: 'number', default: 2000, describe: 'inputs a target' })
  .option('seconds', { type: 'number', describe: 'makes no further inputs for a target after so long' })
  .option('seed', { type: 'number', default: 1, describe: 'the same seed gives the same inputs' })
  .option('path', {
    type: 'string',
    describe: 'with --target and --seed: the input that a failure has named',
  })
  .option('input', { type: 'string', describe: 'with --target: an input that a failure has kept' })
  .strict()
  .parseAsync();

let failed = 0;
for (const target of flags.target) {
  const { runs, seed, seconds, path, input } = flags;
  const began = performance.now();
  const { outcomes, slowestMs, failure } = await run({ target, runs, seed, seconds, path, input });
  const counts = outcomes.map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  const took = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${target}: seed ${seed}: ${counts}; slowest ${slowestMs.toFixed(0)} ms; ${took} s`);
  if (!failure) continue;
  failed++;
  console.log(`  BROKEN: ${failure.message}`);
  const again = `  again: npm run fuzz -- --target ${target}`;
  if (failure.path !== undefined) console.log(`${again} --seed ${seed} --path ${failure.path}`);
  if (failure.input && input === undefined)
    console.log(`${again} --input ${keep(`${target}-${seed}`, failure.input)}`);
}
console.log(failed === 0 ? 'no input broke anything' : `${failed} of ${flags.target.length} targets broken`);
process.exitCode = failed === 0 ? 0 : 1;
