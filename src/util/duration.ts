import { UserError } from './errors.js';

const pattern = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s)?$/;
const mostSeconds = 366 * 86_400;

/**
 * Seconds of a duration such as `1h30m`, `45m`, `90s` or `1d`.
 *
 * @throws UserError `USAGE`, naming the `flag`
 */
export function readDuration(text: string, flag: string): number {
  const [whole = '', days = 0, hours = 0, minutes = 0, rest = 0] = pattern.exec(text.trim()) ?? [];
  const seconds = 86_400 * Number(days) + 3600 * Number(hours) + 60 * Number(minutes) + Number(rest);
  if (whole !== '' && seconds > 0 && seconds <= mostSeconds) return seconds;
  throw new UserError('USAGE', `${flag} ${text}: give a time such as 1h30m, 45m or 90s, of a year at most`);
}
