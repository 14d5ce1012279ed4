import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { findUserPlace } from '../../transport/user-folder.js';

let known: string | undefined;

/**
 * Names what ranks must have in common to meet in files and sockets: the running kernel, and the folder in it that these
 * lie in. Containers of one host differ unless they share the folder, whatever their host names are; so do two hosts of
 * one name.
 */
export function machineId(): string {
  return (known ??= createHash('sha256').update(`${kernel()} ${folder()}`).digest('hex').slice(0, 32));
}

/** Linux draws a number at each boot. */
function kernel(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return hostname();
  }
}

function folder(): string {
  try {
    const place = findUserPlace();
    if (place === undefined) return hostname();
    const { dev, ino } = statSync(place, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return '';
  }
}
