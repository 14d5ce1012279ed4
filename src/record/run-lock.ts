import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { z } from 'zod';
import { PodDistError, UserError } from '../util/errors.js';
import { identify, isRunning, processSpace } from '../util/processes.js';
import { readRegularText } from '../util/regular-file.js';

const holderSchema = z.object({
  host: z.string(),
  pid: z.int(),
  /** When the job has taken the folder, as ISO 8601 has it. */
  since: z.string(),
  /** One boot and one space of process ids: within it, a pid shows whether the holder lives. */
  machine: z.string(),
  /** The system's number for the start of the process; a later process of the same pid has another one. */
  started: z.string().nullable(),
});

/** The job that holds a run folder. */
export type Holder = z.output<typeof holderSchema>;

const lockName = /^lock-[0-9a-f]{16}\.json$/;

/** Milliseconds after which a holder touches its lock again. */
const beatEveryMs = 1000;

/** The lock of a holder on another machine counts as left behind when it has not been touched for this long. */
const forgottenAfterMs = 120_000;

/** Milliseconds without a touch after which another process takes an elastic job over. */
export const leaseMs = 3000;
const lookEveryMs = 200;

/** Two locks that are younger than this may belong to jobs that start at the same moment. */
const settledAfterMs = 1000;

const mostTries = 12;
const mostLockBytes = 16_384;

/** Whether a file of a run folder belongs to its locks. */
export function isLock(name: string): boolean {
  return lockName.test(name);
}

/**
 * Holds a run folder for one job, so that no other one writes there.
 *
 * A lock is a file of a name of its own. A job that wants the folder first writes its lock and then looks for others.
 * Of two that do so at once, at least one sees the other. A job that sees a living lock removes its own and, where
 * both are new, tries once more after a random time. Any job may remove a lock whose holder is gone: its name is never
 * used again, so no living lock can be hit.
 *
 * On one machine a holder is alive if its process is. On another one (a shared folder) it is alive if it has touched
 * its lock within two minutes, as the clock of the file system has it. To a process that takes over an elastic job the
 * lock is a lease: it waits three seconds for a touch. So the lock is also the term of whoever writes: one that finds its
 * own removed is no longer the holder, and writes nothing more (`isHeld`).
 */
export class RunLock {
  private readonly onExit = () => this.release();

  private constructor(
    private readonly folder: string,
    readonly file: string,
  ) {
    process.on('exit', this.onExit);
  }

  /**
   * Takes a folder that is there.
   *
   * @param succeeds whether it takes over the job of a holder that no longer touches its lock
   * @throws UserError `RUN_BUSY`, naming the host, the process and the time of the job that holds it
   */
  static async take(folder: string, { succeeds = false } = {}): Promise<RunLock> {
    let awaited: string | undefined;
    for (let attempt = 1; ;) {
      const file = join(folder, `lock-${randomBytes(8).toString('hex')}.json`);
      writeFileSync(file, `${JSON.stringify(holderFor(process.pid))}\n`, { flag: 'wx' });
      const other = livingLock(folder, { own: file, succeeds });
      if (!other) return new RunLock(folder, file);
      rmSync(file, { force: true });
      awaited ??= other.touch;
      if (succeeds && other.touch === awaited) {
        await delay(lookEveryMs);
        continue;
      }
      if (other.ageMs > settledAfterMs || attempt++ === mostTries) throw busy(folder, other.holder);
      await delay(50 + 200 * Math.random());
    }
  }

  /** A lock that another process of this machine has taken, and gives to this one. */
  static inherit(folder: string, file: string): RunLock {
    writeHolder(file, process.pid);
    return new RunLock(folder, file);
  }

  /** Makes another process of this machine the holder: from now on it is that one's to release. */
  giveTo(pid: number): void {
    process.off('exit', this.onExit);
    writeHolder(this.file, pid);
  }

  release(): void {
    process.off('exit', this.onExit);
    try {
      rmSync(this.file, { force: true });
    } catch {
      // A folder that can no longer be written: the lock is left behind, and dead.
    }
  }

  /**
   * Touches the lock until stopped; calls `onLost` once if another job has taken the folder. Where the folder is gone it says
   * so once, and the job goes on: nobody else has it.
   */
  keep(onLost: (error: PodDistError) => void, say?: (line: string) => void): KeptLock {
    return keepLock(this.folder, this.file, onLost, say);
  }
}

export interface KeptLock {
  stop(): void;
  /** Whether the folder is still this job's, as its file system has it now; calls `onLost` where it is not. */
  isHeld(): boolean;
}

/** `RunLock.keep` for a thread that does not hold the lock itself. */
export function keepLock(
  folder: string,
  file: string,
  onLost: (error: PodDistError) => void,
  say: (line: string) => void = (line) => void process.stderr.write(`${line}\n`),
): KeptLock {
  const text = readIfThere(file) ?? '';
  let gone = false;
  let lost = false;
  const attempt = (touch: () => void) => {
    if (lost) return;
    try {
      touch();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return;
      if (!existsSync(folder)) {
        if (!gone) say(`the run folder ${folder} is gone: the training goes on without it`);
        gone = true;
        return;
      }
      lost = true;
      clearInterval(timer);
      const what = `the run folder ${folder} is no longer this job's: it was emptied, or another job has taken it`;
      onLost(new PodDistError('RUN_FOLDER_LOST', what));
    }
  };
  // Written, not dated: its time is then the file system's, whatever this host's clock says.
  const timer = setInterval(() => attempt(() => writeFileSync(file, text, { flag: 'r+' })), beatEveryMs);
  timer.unref();
  return {
    stop: () => clearInterval(timer),
    isHeld: () => {
      // Opened, not looked up: a network file system then asks its server.
      attempt(() => closeSync(openSync(file, 'r')));
      return !lost;
    },
  };
}

/** The locks in a folder, and when each was touched last, as the server of a network file system has it now. */
export function locksIn(folder: string): { file: string; touched: number }[] {
  const names = existsSync(folder) ? readdirSync(folder).filter(isLock) : [];
  return names.flatMap((name) => {
    const file = join(folder, name);
    try {
      // A named pipe in its place is opened at once, too.
      const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
      const touched = fstatSync(descriptor).mtimeMs;
      closeSync(descriptor);
      return { file, touched };
    } catch {
      return [];
    }
  });
}

/** The living holder of a folder, if it has one. */
export function holderOf(folder: string): Holder | undefined {
  return livingLock(folder)?.holder;
}

/** Whether a holder is a process of this machine. */
export function isHere({ machine: theirs }: Holder): boolean {
  return theirs === processSpace();
}

interface LivingLock {
  holder: Holder;
  /** Its file and when it was touched last. */
  touch: string;
  /** Milliseconds since it was last touched, or taken where that is known better. */
  ageMs: number;
}

/** A lock besides `own` whose holder lives; those of holders that are gone are removed on the way. */
function livingLock(
  folder: string,
  { own, succeeds = false }: { own?: string; succeeds?: boolean } = {},
): LivingLock | undefined {
  const locks = locksIn(folder);
  const now = locks.find(({ file }) => file === own)?.touched ?? Date.now();
  for (const { file, touched } of locks) {
    if (file === own) continue;
    const holder = readHolder(file);
    const untouchedMs = now - touched;
    const here = holder !== undefined && isHere(holder);
    const patienceMs = succeeds ? leaseMs : here ? Infinity : forgottenAfterMs;
    const lives = untouchedMs < patienceMs && (!here || isRunning(holder));
    if (!lives) {
      removeDead(file);
      continue;
    }
    const since = Date.parse(holder?.since ?? '');
    const ageMs = Math.max(untouchedMs, Number.isNaN(since) ? 0 : Date.now() - since);
    return { holder: holder ?? unknownHolder, touch: `${file} ${touched}`, ageMs };
  }
  return undefined;
}

/** Removes the lock of a holder that is gone, where this process may: whoever only looks may not. */
function removeDead(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    return;
  }
}

const unknownHolder: Holder = { host: 'unknown', pid: 0, since: 'a moment ago', machine: '', started: null };

/** Holder in a lock file; undefined for a lock that is being written, or broken. */
export function readHolder(file: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(readRegularText(file, { mostBytes: mostLockBytes })));
  } catch {
    return undefined;
  }
}

function busy(folder: string, { host, pid, since }: Holder): UserError {
  return new UserError(
    'RUN_BUSY',
    `${folder} is in use by another job: process ${pid} on host ${host}, since ${since}; wait for its end, stop it, or give another --out`,
  );
}

function writeHolder(file: string, pid: number): void {
  writeFileAtomicSync(file, `${JSON.stringify(holderFor(pid))}\n`, { fsync: false });
}

function holderFor(pid: number): Holder {
  return { host: hostname(), since: new Date().toISOString(), machine: processSpace(), ...identify(pid) };
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
