import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Identity of a process: its start tells it from a later process with the same pid. */
export interface ProcessIdentity {
  pid: number;
  /** Its start in the system's ticks since boot; null where the system does not say. */
  started: string | null;
}

/** Start of a process, in the system's ticks since boot; empty for one that has ended; undefined if unknown. */
export function startOf(pid: number): string | undefined {
  const fields = statOf(pid);
  if (!fields) return undefined;
  const [state] = fields;
  return state === 'Z' || state === 'X' ? '' : fields[19];
}

/** This process, or another one, as it is now. */
export function identify(pid: number = process.pid): ProcessIdentity {
  return { pid, started: startOf(pid) ?? null };
}

/** Whether a process of this machine runs, be it stopped. */
export function isRunning({ pid, started }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const now = startOf(pid);
  return now === undefined || (now !== '' && (started === null || now === started));
}

/** Whether a process is stopped, as by SIGSTOP. */
export function isStopped(pid: number): boolean {
  return statOf(pid)?.[0] === 'T';
}

/** Whether a process has ended, zombies included. */
export function hasEnded(pid: number): boolean {
  return !isRunning({ pid, started: null });
}

/** One boot and one space of process ids: within it, a pid shows whether a process lives. */
export function processSpace(): string {
  let boot = hostname();
  let processes = '';
  try {
    boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    processes = readlinkSync('/proc/self/ns/pid');
  } catch {
    // A system without /proc has one space of process ids.
  }
  return `${boot} ${processes}`.trim();
}

/** Sends a signal to a process that still runs. */
export function signalProcess(one: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isRunning(one)) return;
  try {
    process.kill(one.pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

/** Fields of a process in /proc, from its state on. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
