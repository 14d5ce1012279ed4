import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { messageOf, UserError, type PodDistError } from '../util/errors.js';
import { makeFolder } from '../util/make-folder.js';
import { kindOfEntry, readRegularText } from '../util/regular-file.js';
import { isCheckpoint } from '../checkpoint/checkpoints.js';
import { recipeBytes } from '../config/recipe.js';
import { parseYaml } from '../config/yaml.js';
import { isLock, RunLock, type KeptLock } from './run-lock.js';
import { largest } from '../util/extremes.js';

export interface InheritOptions {
  lockFile?: string;
  made: boolean;
  succeeds?: boolean;
  say(line: string): void;
}

/** A run folder that only this job may write to, until it lets go of it. */
export class RunFolder {
  /** Aborted, with the error as its reason, when the folder is no longer this job's. */
  readonly lost: AbortSignal;
  private readonly keeping: KeptLock;
  /** Whether the folder is another process's now. */
  private given = false;

  private constructor(
    readonly path: string,
    readonly lock: RunLock,
    /** Whether this job has made the folder. */
    readonly made: boolean,
    say?: (line: string) => void,
  ) {
    const lost = new AbortController();
    this.lost = lost.signal;
    this.keeping = lock.keep((error: PodDistError) => lost.abort(error), say);
  }

  /**
   * A folder for a new run: `out` if it is given, else the first of `runs/<name>`, `runs/<name>-2`, ... that is not
   * there. Of several jobs that start at once each gets another one. Nothing that was trained is ever overwritten.
   *
   * Folders are for their owner alone, unless they are not `confidential`: then the umask decides.
   *
   * @throws UserError `RUN_EXISTS`, `RUN_BUSY`, or `RUN_FOLDER_INVALID` where no folder can be made
   */
  static async claim(
    name: string,
    { out, confidential = true }: { out?: string; confidential?: boolean } = {},
  ): Promise<RunFolder> {
    const mode = confidential ? 0o700 : 0o777;
    if (out !== undefined) {
      const made = make(out, mode, (reason) => `--out ${out} cannot be a run folder: ${reason}`);
      if (!made && !isFree(out) && !isBusy(out)) throw exists(out);
      const claimed = await RunFolder.take(out, made);
      if (isFree(out)) return claimed;
      claimed.release();
      throw exists(out);
    }
    for (let number = 1; ; number++) {
      const path = join('runs', number === 1 ? name : `${name}-${number}`);
      if (make(path, mode, (reason) => `the run folder ${path} cannot be made: ${reason}`))
        return RunFolder.take(path, true);
    }
  }

  /**
   * The folder of a run to go on with, or to start afresh where it has no checkpoint; a folder of other files is
   * neither. `succeeds`: a job that no longer touches its lock has ended.
   *
   * @throws UserError `RUN_BUSY` where a job still runs in it, `RUN_EXISTS` for other files
   */
  static async reclaim(path: string, { succeeds = false } = {}): Promise<RunFolder> {
    if (!mayStart(path) && !namesIn(join(path, 'checkpoints')).some(isCheckpoint))
      throw new UserError('RUN_EXISTS', `${path} holds files, but no run to go on with: give another --out`);
    for (const part of writtenIn(path)) refuseForeign(path, part);
    return RunFolder.take(path, false, succeeds);
  }

  /**
   * The folder of a job that this process has been given, with its lock, or takes over: its own process has ended. `made`
   * says whether the folder was made for the job; `say` is called with lines for people. A process of another machine
   * (`succeeds`) counts as ended once it no longer touches its lock.
   */
  static async inherit(path: string, { lockFile, made, succeeds, say }: InheritOptions): Promise<RunFolder> {
    const given = lockFile !== undefined && existsSync(lockFile);
    const lock = given ? RunLock.inherit(path, lockFile) : await RunLock.take(path, { succeeds });
    return new RunFolder(path, lock, made, say);
  }

  /** Gives the folder to a job of another process on this machine. */
  giveTo(pid: number): void {
    this.keeping.stop();
    this.lock.giveTo(pid);
    this.given = true;
  }

  private static async take(path: string, made: boolean, succeeds = false): Promise<RunFolder> {
    try {
      return new RunFolder(path, await RunLock.take(path, { succeeds }), made);
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError('RUN_FOLDER_INVALID', `${path} cannot be written to: ${messageOf(error)}`);
    }
  }

  /** Whether it is still this job's, as its file system has it now. */
  readonly isHeld = (): boolean => this.keeping.isHeld();

  /** Lets other jobs go on with the run. */
  release(): void {
    if (this.given) return;
    this.keeping.stop();
    this.lock.release();
  }

  /** Lets go of the folder, and removes it if this job has made it and nothing has been trained in it. */
  abandon(): void {
    if (this.given) return;
    const remove = this.made && !this.lost.aborted && !isTrained(this.path);
    this.release();
    if (remove) rmSync(this.path, { recursive: true, force: true });
  }
}

/**
 * The run of this name that was written to last, among `runs/<name>`, `runs/<name>-2`, ...; undefined where there is
 * none.
 */
export function lastRunFolder(name: string): string | undefined {
  const numbered = new RegExp(`^${name.replace(/[.]/g, '\\.')}(?:-[1-9]\\d*)?$`);
  const folders = (existsSync('runs') ? readdirSync('runs') : [])
    .filter((folder) => numbered.test(folder))
    .map((folder) => join('runs', folder))
    .filter((folder) => isRun(folder) && (nameOf(folder) ?? name) === name);
  const written = folders.map((folder): [string, number] => [folder, lastWritten(folder)]);
  return written.sort(([, a], [, b]) => b - a)[0]?.[0];
}

/** Whether a run has made its first step, so that there is something to lose. */
export function isTrained(folder: string): boolean {
  const metrics = statSync(join(folder, 'metrics.jsonl'), { throwIfNoEntry: false });
  return (metrics?.size ?? 0) > 0 || namesIn(join(folder, 'checkpoints')).some(isCheckpoint);
}

/** Names that pod-dist creates in a run folder; the first two come first. */
const parts = [
  'logs',
  'checkpoints',
  'config.yaml',
  'metrics.jsonl',
  'report.json',
  'evaluation.json',
  'job',
];

/** Whether a folder is empty, or holds only the remains of a failed start. */
function isFree(folder: string): boolean {
  return mayStart(folder) && !isTrained(folder);
}

/** Whether a run may start afresh in the folder: it holds nothing but what pod-dist has put there. */
function mayStart(folder: string): boolean {
  const names = namesIn(folder).filter((name) => !isLock(name));
  if (names.length === 0) return true;
  const own = names.every((name) => parts.includes(name));
  return own && parts.slice(0, 2).every((part) => names.includes(part));
}

/** Paths that a job which goes on with a run may write to: each part, each log, and each file of a checkpoint. */
function writtenIn(folder: string): string[] {
  const below = (part: string) => namesIn(join(folder, part)).map((name) => join(part, name));
  const checkpoints = below('checkpoints');
  return [...parts, ...below('logs'), ...below('job'), ...checkpoints, ...checkpoints.flatMap(below)];
}

/** Refuses a part of a run folder through which this job would write elsewhere, or wait for a named pipe. */
function refuseForeign(folder: string, part: string): void {
  const path = join(folder, part);
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry && !entry.isFile() && !entry.isDirectory() && !entry.isSymbolicLink())
    throw new UserError('RUN_FOLDER_INVALID', `${path} is ${kindOfEntry(entry)}, not a file: remove it`);
  if (!entry?.isSymbolicLink()) return;
  const target = existsSync(path) ? realpathSync(path) : '';
  if (target.startsWith(realpathSync(folder) + sep)) return;
  throw new UserError(
    'RUN_FOLDER_INVALID',
    `${path} is a link out of the run folder: nothing is written through it; move what it names into the folder, or link the folder as a whole`,
  );
}

function isBusy(folder: string): boolean {
  return namesIn(folder).some(isLock);
}

function exists(out: string): UserError {
  return new UserError(
    'RUN_EXISTS',
    `${out} already holds files: give another --out, or --resume to go on with the run in it`,
  );
}

/** Whether the folder has been made by this call. */
function make(folder: string, mode: number, describe: (reason: string) => string): boolean {
  try {
    makeFolder(dirname(folder));
    mkdirSync(folder, { mode });
    return true;
  } catch (error) {
    if (isFolder(folder)) return false;
    throw new UserError('RUN_FOLDER_INVALID', describe(messageOf(error)));
  }
}

function isRun(folder: string): boolean {
  const names = namesIn(folder);
  return names.some((name) => isLock(name) || parts.includes(name));
}

/** Name of the run in its own recipe; undefined where there is none yet. */
function nameOf(folder: string): unknown {
  try {
    const text = readRegularText(join(folder, 'config.yaml'), { mostBytes: recipeBytes });
    return (parseYaml(text, '').value as { name?: unknown }).name;
  } catch {
    return undefined;
  }
}

/** Time of the last write, in milliseconds since 1970; for a run that has only begun, when its folder was made. */
function lastWritten(folder: string): number {
  const timeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const written = ['config.yaml', 'metrics.jsonl', 'checkpoints', 'report.json'];
  return largest(written.map((part) => timeOf(join(folder, part)))) || timeOf(folder);
}

function namesIn(folder: string): string[] {
  return isFolder(folder) ? readdirSync(folder) : [];
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}
