import { withSources } from '../util/source-positions.js';

/**
 * Where in the program the running collective was called: the innermost place outside this folder, as
 * `training/step.ts:51`. Empty where the stack does not say.
 */
export function callSite(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 20;
  const stack = withSources(new Error().stack ?? '');
  Error.stackTraceLimit = stackTraceLimit;
  const frame = stack
    .split('\n')
    .slice(1)
    .find((line) => !/[\\/]src[\\/]collective[\\/]|node:/.test(line));
  return /([^\\/(]+[\\/][^\\/]+:\d+):\d+\)?$/.exec(frame ?? '')?.[1] ?? '';
}
