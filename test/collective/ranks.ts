import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Thresholds } from '../../src/collective/selection.js';

export interface Outcome {
  result?: unknown;
  error?: { code: string; message: string };
}

export interface RankOptions {
  worldSize: number;
  scenario: string;
  transport: 'ipc' | 'tcp';
  /** Each rank's host, by rank, real or not; default: one for all. */
  hosts?: string[];
  thresholds?: Partial<Thresholds>;
  [key: string]: unknown;
}

const defaults: Thresholds = {
  urgentBytes: 65_536,
  pipeBytes: 49_152,
  directBytes: 131_072,
  ringBytes: 1_572_864,
  hierarchicalBytes: 65_536,
};

/** Real processes, one a rank, that have joined each other through this one. */
export class Ranks {
  readonly directory = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  readonly processes: ChildProcess[] = [];
  /** Each rank's outcome, by rank; undefined for one that was killed. */
  outcomes: Promise<Outcome | undefined>[] = [];

  static async start(options: RankOptions): Promise<Ranks> {
    const ranks = new Ranks();
    for (let rank = 0; rank < options.worldSize; rank++) {
      const { worldSize, transport, hosts = new Array<string>(worldSize).fill('here') } = options;
      const directory = transport === 'ipc' ? ranks.directory : undefined;
      const thresholds = { ...defaults, ...options.thresholds };
      const own = {
        jobId: 'test',
        secret: 'a secret for tests',
        directory,
        ...options,
        thresholds,
        hosts,
        rank,
      };
      const script = new URL('./fixtures/rank.mjs', import.meta.url);
      ranks.processes.push(fork(script, { env: { ...process.env, OPTIONS: JSON.stringify(own) } }));
    }
    const endpoints = await Promise.all(
      ranks.processes.map(async (child) => (await once(child, 'message'))[0] as object),
    );
    const table = Object.fromEntries(endpoints.entries());
    ranks.outcomes = ranks.processes.map((child) => ranks.follow(child));
    for (const child of ranks.processes) child.send(table);
    return ranks;
  }

  /** All outcomes, once every rank has one; ends the processes. */
  async end(): Promise<(Outcome | undefined)[]> {
    try {
      return await Promise.all(this.outcomes);
    } finally {
      for (const child of this.processes) child.kill('SIGKILL');
      rmSync(this.directory, { recursive: true });
    }
  }

  private follow(child: ChildProcess): Promise<Outcome | undefined> {
    return new Promise((resolve) => {
      let outcome: Outcome | undefined;
      child.on('message', (message) => {
        if (typeof message === 'object' && message !== null) resolve((outcome = message as Outcome));
      });
      child.on('exit', () => resolve(outcome));
    });
  }
}

/** Runs one scenario on every rank to its end. */
export async function run(options: RankOptions): Promise<(Outcome | undefined)[]> {
  return (await Ranks.start(options)).end();
}
