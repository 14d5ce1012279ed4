import { accessSync, constants, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const prefix = 'pod-dist-ipc-';
/** Linux's file system in memory. */
const memoryFolder = '/dev/shm';
/** Longest path of a Unix socket, less the file name. */
const longestFolder = 92;

/**
 * A folder for socket files, pipes and shared files of ranks on this host, readable by this user alone:
 * `pod-dist-ipc-<pid>-xxxxxx`, in TMPDIR where that is set, else in memory where the system has a place for that. Folders of processes that are gone are
 * removed first. Undefined where the path would be too long for a Unix socket.
 */
export function makeIpcDirectory(parent = ipcParent()): string | undefined {
  if (process.platform === 'win32' || parent.length + prefix.length + 20 > longestFolder) return undefined;
  removeStale(parent);
  return mkdtempSync(join(parent, `${prefix}${process.pid}-`));
}

export function removeIpcDirectory(folder: string | undefined): void {
  if (folder) rmSync(folder, { recursive: true, force: true });
}

/** Where such folders are made. */
export function ipcParent(): string {
  return inMemory() ?? tmpdir();
}

function inMemory(): string | undefined {
  if (process.env.TMPDIR) return undefined;
  try {
    accessSync(memoryFolder, constants.W_OK);
    return memoryFolder;
  } catch {
    return undefined;
  }
}

function removeStale(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : NaN;
    if (pid > 0 && !isAlive(pid)) rmSync(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
