import type { Options } from 'yargs';
import { distributedSchema } from '../../../src/collective/schema.js';
import type { TransportSettings } from '../../../src/bench/rank.js';
import { UserError } from '../../../src/util/errors.js';

/** Flag of the benchmarks of communication: settings of a recipe's section `distributed`. */
export const settingsFlag = {
  type: 'string',
  array: true,
  nargs: 1,
  default: [] as string[],
  describe: 'override a setting of distributed: --set security=network',
} as const satisfies Options;

const settable = distributedSchema.pick({
  security: true,
  algorithm: true,
  bucketsInFlight: true,
  sharedMemory: true,
  urgentBytes: true,
  pipeBytes: true,
  directBytes: true,
  ringBytes: true,
  hierarchicalBytes: true,
  hopBytes: true,
  messageBytes: true,
});

/** Reads the values of `settingsFlag`. */
export function parseSettings(texts: readonly string[]): Partial<TransportSettings> {
  const given = texts.map((text) => {
    const [name, value = ''] = text.split('=');
    return [name, value !== '' && Number.isFinite(Number(value)) ? Number(value) : value];
  });
  const { success, data, error } = settable.safeParse(Object.fromEntries(given));
  if (success) return data;
  throw new UserError(
    'USAGE',
    `--set ${texts.join(' ')}: ${error.issues[0]?.message ?? 'invalid'}; give ${Object.keys(settable.shape).join(', ')}, as in a recipe's distributed`,
  );
}
