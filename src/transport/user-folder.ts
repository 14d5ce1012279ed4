import { accessSync, constants, lstatSync, mkdirSync, statSync, type Stats } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Linux's file system in memory. */
const memoryFolder = '/dev/shm';
/** Longest path of a Unix socket, less a job's name and a file's. */
const longestFolder = 64;
const worldWritable = 0o022;
const sticky = 0o1000;
const rightsOfOthers = 0o077;

/**
 * This user's folder for what processes of one host share, `pod-dist-<uid>`: in TMPDIR where that is set, else in
 * memory where the system has a place for that, else in the system's temporary folder.
 *
 * Other users write to these places too. A folder is taken only where nobody else can put something in its place: it
 * is a folder and no link, this user's own, without rights for others, and its parent lets nobody else rename it. A
 * place where that does not hold is passed over, and `notify` is called with the reason. Undefined where no place is left, or where paths
 * would be too long for a Unix socket.
 */
export function findUserFolder(
  notify: (line: string) => void = () => {},
  places = sharedPlaces(),
): string | undefined {
  const place = findUserPlace(notify, places);
  if (place === undefined) return undefined;
  const folder = folderIn(place);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch {
    // It is there, or cannot be made: what counts is what is there now.
  }
  return isOwnFolder(folder) ? folder : undefined;
}

/** The place where the user's folder is, or may be made. */
export function findUserPlace(
  notify: (line: string) => void = () => {},
  places = sharedPlaces(),
): string | undefined {
  if (process.getuid === undefined) return undefined;
  const uid = process.getuid();
  for (const place of places) {
    const folder = folderIn(place);
    if (folder.length > longestFolder) continue;
    const fault = faultOfPlace(place, uid) ?? faultOfFolder(folder, uid);
    if (fault === undefined) return place;
    notify(`${fault}: it is not used for sockets`);
  }
  return undefined;
}

function folderIn(place: string): string {
  return join(place, `pod-dist-${process.getuid?.()}`);
}

/** Whether a path is a folder of this user that others have no rights in. */
export function isOwnFolder(path: string): boolean {
  return isOwn(lstatSync(path, { throwIfNoEntry: false }), process.getuid?.() ?? -1);
}

function sharedPlaces(): string[] {
  return [...new Set([process.env.TMPDIR || memoryFolder, tmpdir()])];
}

function faultOfPlace(place: string, uid: number): string | undefined {
  const stats = lstatOf(place, true);
  if (!stats?.isDirectory()) return `${place} is no folder`;
  if (!isWritable(place)) return `${place} cannot be written to`;
  if (stats.uid !== 0 && stats.uid !== uid) return `${place} belongs to user ${stats.uid}`;
  const shared = (stats.mode & worldWritable) !== 0 && (stats.mode & sticky) === 0;
  return shared ? `${place} lets other users rename what is not theirs (chmod +t)` : undefined;
}

function faultOfFolder(folder: string, uid: number): string | undefined {
  const stats = lstatOf(folder);
  return stats === undefined || isOwn(stats, uid)
    ? undefined
    : `${folder} is not this user's own, or is a link, or gives others rights`;
}

function isOwn(stats: Stats | undefined, uid: number): boolean {
  return (
    stats !== undefined && stats.isDirectory() && stats.uid === uid && (stats.mode & rightsOfOthers) === 0
  );
}

function isWritable(place: string): boolean {
  try {
    accessSync(place, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param resolve follows links: TMPDIR may be one */
function lstatOf(path: string, resolve = false): Stats | undefined {
  try {
    return resolve ? statSync(path) : lstatSync(path);
  } catch {
    return undefined;
  }
}
