import { inspect } from 'node:util';
import type fc from 'fast-check';
import type { ErrorCode } from '../../src/util/error-codes.js';
import { PodDistError } from '../../src/util/errors.js';
import { watchPeak } from '../peak-memory.js';

/** A reader of untrusted data, and inputs for it. */
export interface Target<Input = unknown> {
  name: string;
  /** Error codes with which the reader may reject an input. */
  codes: readonly ErrorCode[];
  inputs: fc.Arbitrary<Input>;
  /** Reads one input; `folder` belongs to the target. Throws `Broken` if the reader returns an invalid value. */
  read(input: Input, folder: string): unknown;
  /** Runs once, before the first input. */
  prepare?(folder: string): Promise<void> | void;
  /** Closes what `prepare` has opened. */
  close?(): Promise<void> | void;
  /** Processor time that one input may take; default: 2 s. */
  seconds?: number;
  /** Memory that one input may take in addition to the earlier memory of the process; default: 128 MB. */
  megabytes?: number;
}

/** An input had an effect that no input may have. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

/** Outcome of an input: `read`, or the code of its rejection. */
export type Outcome = 'read' | ErrorCode;

/**
 * Gives one input to a target. The target must return a value, or throw an error of pod-dist with one of its codes, within
 * its bounds of processor time and memory, and must not change the prototypes of built-in objects.
 *
 * @throws Broken
 */
export async function judge<Input>(target: Target<Input>, input: Input, folder: string): Promise<Outcome> {
  const { seconds = 2, megabytes = 128 } = target;
  const grownMegabytes = watchPeak();
  const began = process.cpuUsage();
  const outcome = await outcomeOf(target, input, folder);
  const { user, system } = process.cpuUsage(began);
  const grown = grownMegabytes();
  if ((user + system) / 1e6 > seconds) throw new Broken(`took ${(user + system) / 1e6} s of processor time`);
  if (grown > megabytes) throw new Broken(`took ${Math.round(grown)} MB of memory`);
  checkPrototypes();
  return outcome;
}

async function outcomeOf<Input>(target: Target<Input>, input: Input, folder: string): Promise<Outcome> {
  try {
    await target.read(input, folder);
    return 'read';
  } catch (error) {
    if (error instanceof Broken) throw error;
    if (!(error instanceof PodDistError)) {
      throw new Broken(`threw what is no error of pod-dist's: ${inspect(error)}`, { cause: error });
    }
    if (!target.codes.includes(error.code))
      throw new Broken(`refused with ${error.code}: ${error.message}`, { cause: error });
    return error.code;
  }
}

const prototypes = [Object.prototype, Array.prototype, Function.prototype, Map.prototype, String.prototype];
const untouched = prototypes.map((prototype) => Reflect.ownKeys(prototype).length);

function checkPrototypes(): void {
  prototypes.forEach((prototype, index) => {
    const keys = Reflect.ownKeys(prototype);
    if (keys.length === untouched[index]) return;
    const added = keys.splice(untouched[index]);
    for (const key of added) Reflect.deleteProperty(prototype, key);
    throw new Broken(`added ${added.map(String).join(', ')} to a prototype`);
  });
}
