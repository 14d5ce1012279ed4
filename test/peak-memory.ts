import { writeFileSync } from 'node:fs';

/**
 * Starts to measure the peak of this process's memory. On Linux it resets the earlier peak; elsewhere it finds only
 * memory above that.
 *
 * @returns A function that gives the megabytes by which the peak has risen.
 */
export function watchPeak(): () => number {
  if (process.platform === 'linux') writeFileSync('/proc/self/clear_refs', '5');
  const before = process.resourceUsage().maxRSS;
  return () => (process.resourceUsage().maxRSS - before) / 1024;
}
