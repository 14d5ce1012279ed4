import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PodDistError } from '../../util/errors.js';
import type { PeerTimes } from './peer.js';

export const execute = promisify(execFile);
export const timeout = 120_000;

/** A peer in C, compiled into a folder of its own. */
export class Program {
  private constructor(
    private readonly folder: string,
    readonly path: string,
  ) {}

  /** Rejects where the compiler is missing or fails. */
  static async compile(compiler: string, source: string, ...flags: string[]): Promise<Program> {
    const folder = mkdtempSync(join(tmpdir(), 'pod-dist-peer-'));
    const program = new Program(folder, join(folder, 'allreduce'));
    const file = fileURLToPath(new URL(source, import.meta.url));
    try {
      await execute(compiler, ['-O3', '-o', program.path, file, ...flags], { timeout });
    } catch (error) {
      program.remove();
      throw error;
    }
    return program;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Reads what the peers in C print: milliseconds a line, then `errors N`. */
export function readTimes(stdout: string): PeerTimes {
  const errors = /errors (\d+)/.exec(stdout)?.[1];
  if (errors === undefined) throw new PodDistError('BENCHMARK_FAILED', 'a peer printed no result');
  return { times: [...stdout.matchAll(/^[\d.]+$/gm)].map(Number), errors: Number(errors) };
}
