import { UserError } from './errors.js';

const pattern = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s)?$/;
const unitSeconds = [86_400, 3600, 60, 1];
const mostSeconds = 366 * 86_400;

/**
 * Seconds of a duration such as `1h30m`, `45m`, `90s` or `1d`.
 *
 * @throws UserError `USAGE`, naming the `flag`
 */
export function readDuration(text: string, flag: string): number {
  const [whole, ...counts] = pattern.exec(text.trim()) ?? [''];
  const seconds = counts.reduce((sum, count, unit) => sum + Number(count ?? 0) * unitSeconds[unit], 0);
  if (whole !== '' && seconds > 0 && seconds <= mostSeconds) return seconds;
  throw new UserError('USAGE', `${flag} ${text}: give a time such as 1h30m, 45m or 90s, of a year at most`);
}
