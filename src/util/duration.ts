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

/** A time in words, such as `1 h 5 min`: in a unit up to `most` of it. */
export function describeDuration(seconds: number, most = 120): string {
  if (seconds < most) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < most ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
