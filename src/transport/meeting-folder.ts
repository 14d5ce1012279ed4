import { once } from 'node:events';
import { mkdirSync, readdirSync, renameSync, rmdirSync, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { deriveKey } from './keys.js';
import { findUserFolder, isOwnFolder } from './user-folder.js';

const jobName = /^[0-9a-f]{24}$/;
const lockName = /^([0-9a-f]{24})-\d+\.lock$/;
const unfinishedLock = /^[0-9a-f]{24}-\d+\.new$/;
/** Names that ranks give to entries of a job's folder: socket files, pipes, shared files, shared memory. */
const contents = /^(\d+-\d+\.(\d+|pipe)|\d+\.(values|kept)|memory|probe)$/;
/** A lock is made within one turn of the event loop. */
const makingMs = 10_000;
/** A user folder that another job has just removed is made again. */
const tries = 5;

/**
 * Names a job's folder: all processes that know its secret find the same name, no other does, and no peer can choose
 * it.
 */
export function meetingFolderName(secret: string, jobId: string): string {
  return deriveKey(secret, `folder ${jobId}`).toString('hex').slice(0, 24);
}

/** Facts from which the folder of a generation of a job is named. */
export function folderScope(jobId: string, generation: number): string {
  return generation === 0 ? jobId : `${jobId} ${generation}`;
}

/**
 * The folder in which the ranks of a job on one host meet: socket files, pipes and shared files, below this user's own
 * folder (`user-folder.ts`). It is removed once all are connected.
 *
 *     pod-dist-<uid>/<job>-<rank>.lock    a Unix socket that its rank listens on while it lives
 *     pod-dist-<uid>/<job>/               made after the lock
 *
 * A folder without a lock that answers is left over, and the next job of the user removes it. Every process that sees
 * the folder can test a socket; a process id would mean something else in another container. Only files of known names
 * are removed, by unlinking, which follows no link, and nobody else can put a link in place of a folder on the way:
 * both are this user's own without rights for others. An entry that cannot be removed stays, and never ends a job.
 */
export class MeetingFolder {
  private constructor(
    readonly path: string,
    private readonly lock: Server,
    private readonly lockPath: string,
  ) {}

  /** Makes the folder; undefined where there is no safe place for it. */
  static async make(
    name: string,
    rank: number,
    user: () => string | undefined = findUserFolder,
  ): Promise<MeetingFolder | undefined> {
    for (let attempt = 1; ; attempt++) {
      const userFolder = user();
      if (userFolder === undefined) return undefined;
      await removeDead(userFolder);
      try {
        const lockPath = join(userFolder, `${name}-${rank}.lock`);
        const lock = await listenAt(lockPath);
        const folder = new MeetingFolder(join(userFolder, name), lock, lockPath);
        mkdirSync(folder.path, { recursive: true, mode: 0o700 });
        if (!isOwnFolder(folder.path)) throw new Error(`${folder.path} is not this user's own`);
        return folder;
      } catch (error) {
        if (attempt === tries) throw error;
      }
    }
  }

  /** Removes the folder, for all ranks, and lets go of the lock. It never fails, and may be called twice. */
  remove(): void {
    this.lock.close();
    const userFolder = dirname(this.path);
    removeJob(userFolder, basename(this.path), [basename(this.lockPath)]);
    attempt(() => rmdirSync(userFolder));
  }
}

/** Removes what the ranks of a job, which have all ended, may have left on this host. It never fails. */
export function removeLeftovers(name: string, userFolder = findUserFolder()): void {
  if (userFolder === undefined) return;
  const locks = list(userFolder).filter((entry) => lockName.exec(entry)?.[1] === name);
  removeJob(userFolder, name, locks);
  attempt(() => rmdirSync(userFolder));
}

/** Removes what killed jobs of this user have left behind. */
export async function removeDead(userFolder: string): Promise<void> {
  const locks = new Map<string, string[]>();
  for (const entry of list(userFolder)) {
    const path = join(userFolder, entry);
    if (unfinishedLock.test(entry) && isOld(path)) attempt(() => unlinkSync(path));
    const job = jobName.test(entry) ? entry : lockName.exec(entry)?.[1];
    if (job === undefined) continue;
    const own = locks.get(job) ?? [];
    if (entry !== job) own.push(entry);
    locks.set(job, own);
  }
  for (const [job, own] of locks) {
    const answers = await Promise.all(own.map((lock) => isAnswered(join(userFolder, lock))));
    if (!answers.includes(true)) removeJob(userFolder, job, own);
  }
}

function removeJob(userFolder: string, job: string, locks: readonly string[]): void {
  if (!isOwnFolder(userFolder)) return;
  const folder = join(userFolder, job);
  if (isOwnFolder(folder)) {
    for (const entry of list(folder))
      if (contents.test(entry)) attempt(() => unlinkSync(join(folder, entry)));
    attempt(() => rmdirSync(folder));
  }
  for (const lock of locks) attempt(() => unlinkSync(join(userFolder, lock)));
}

/**
 * Makes a Unix socket that gets its name only once it listens: a lock that refuses belongs to a process that is gone.
 */
async function listenAt(path: string): Promise<Server> {
  const making = path.replace(/\.lock$/, '.new');
  const server = createServer((socket) => socket.destroy());
  server.unref();
  server.listen(making);
  await once(server, 'listening');
  renameSync(making, path);
  return server;
}

/** Whether a process listens there; false only where the system says that none does. */
async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ECONNREFUSED' && code !== 'ENOENT';
  } finally {
    socket.destroy();
  }
}

function isOld(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && Date.now() - stats.mtimeMs > makingMs;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // It stays, or somebody else was faster.
  }
}
