import { readFileSync } from 'node:fs';
import { serialize } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import fc from 'fast-check';
import { messageOf } from '../../src/util/errors.js';
import { judge, type Outcome, type Target } from './judge.js';
import { Progress } from './progress.js';
import { targets } from './targets/index.js';

export interface FuzzTask {
  target: string;
  runs: number;
  seed: number;
  /** Seconds after which no further inputs are made; default: no limit. */
  seconds?: number;
  /** Path of a counterexample, as printed by fast-check. */
  path?: string;
  /** File of a kept input to read instead. */
  input?: string;
  folder: string;
  progress: SharedArrayBuffer;
}

export interface FuzzResult {
  outcomes: [Outcome, number][];
  slowestMs: number;
  /** `input` is undefined if it is not known. */
  failure?: { message: string; path?: string; input?: Uint8Array };
}

/** Gives a target its inputs one after another; if an input breaks the target, looks for a smaller one. */
async function fuzz({ runs, seed, seconds, path, input, folder, ...task }: FuzzTask): Promise<FuzzResult> {
  const target = targets.get(task.target) as Target;
  const progress = new Progress(task.progress);
  const outcomes = new Map<Outcome, number>();
  let slowestMs = 0;
  let stray: unknown;
  const stop = (error: unknown) => (stray ??= error);
  process.on('uncaughtException', stop).on('unhandledRejection', stop);

  const run = async (value: unknown): Promise<void> => {
    progress.begin(value);
    const began = performance.now();
    const outcome = await judge(target, value, folder);
    slowestMs = Math.max(slowestMs, performance.now() - began);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (stray !== undefined) {
      const error = stray;
      stray = undefined;
      throw new Error(`an error that nobody waits for: ${messageOf(error)}`, { cause: error });
    }
  };

  await target.prepare?.(folder);
  try {
    // Work that a target does once must not count as time of an input.
    if (input === undefined)
      await fc.check(
        fc.asyncProperty(target.inputs, (value) => settled(target, value, folder)),
        { seed, numRuns: 20 },
      );
    const details =
      input === undefined
        ? await fc.check(fc.asyncProperty(target.inputs, run), {
            ...{ numRuns: runs, seed, path },
            interruptAfterTimeLimit: seconds === undefined ? undefined : 1000 * seconds,
          })
        : await fc.check(fc.asyncProperty(fc.constant(Progress.read(readFileSync(input))), run), {
            numRuns: 1,
          });
    const result = { outcomes: [...outcomes], slowestMs };
    if (!details.failed) return result;
    const message = messageOf(details.errorInstance).slice(0, 1000);
    const smallest = serialize(details.counterexample?.[0]);
    return {
      ...result,
      failure: { message, path: details.counterexamplePath ?? undefined, input: smallest },
    };
  } finally {
    await target.close?.();
  }
}

async function settled(target: Target, value: unknown, folder: string): Promise<void> {
  await Promise.resolve()
    .then(() => target.read(value, folder))
    .catch(() => {});
}

/** Result of a failure before any input. */
function failed(error: unknown): FuzzResult {
  return { outcomes: [], slowestMs: 0, failure: { message: `no input could be made: ${messageOf(error)}` } };
}

parentPort?.postMessage(await fuzz(workerData as FuzzTask).catch(failed));
process.exit();
