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
  /** Name of each rank's host, by rank, real or simulated; default: one host for all. */
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

/** The compiled program: a rank starts a thread, which needs JavaScript. */
const rankProgram = new URL('../../dist/test/collective/fixtures/rank.js', import.meta.url);

/** Processes whose last scenario succeeded, kept for the next one. They end with this process. */
const idle: ChildProcess[] = [];

function takeProcess(): ChildProcess {
  const child = idle.pop() ?? fork(rankProgram);
  child.ref();
  child.channel?.ref();
  return child;
}

async function giveBack(child: ChildProcess): Promise<void> {
  child.send('end');
  await once(child, 'message');
  child.unref();
  child.channel?.unref();
  idle.push(child);
}

/** One process for each rank; this process passes their endpoints on. */
export class Ranks {
  readonly directory = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  readonly processes: ChildProcess[] = [];
  /** Each rank's outcome, by rank; undefined for a killed rank. */
  outcomes: Promise<Outcome | undefined>[] = [];

  static async start(options: RankOptions): Promise<Ranks> {
    const ranks = new Ranks();
    const { worldSize, transport, hosts = new Array<string>(worldSize).fill('here') } = options;
    const directory = transport === 'ipc' ? ranks.directory : undefined;
    const thresholds = { ...defaults, ...options.thresholds };
    const about = { jobId: 'test', secret: 'a secret for tests', directory, ...options, thresholds, hosts };
    const endpoints = await Promise.all(
      Array.from({ length: worldSize }, async (_, rank) => {
        const child = takeProcess();
        ranks.processes.push(child);
        child.send({ ...about, rank });
        return (await once(child, 'message'))[0] as object;
      }),
    );
    const table = Object.fromEntries(endpoints.entries());
    ranks.outcomes = ranks.processes.map((child) => ranks.follow(child));
    for (const child of ranks.processes) child.send(table);
    return ranks;
  }

  /** Waits for all outcomes. Keeps the processes for later scenarios if all succeeded, else kills them. */
  async end(): Promise<(Outcome | undefined)[]> {
    try {
      const outcomes = await Promise.all(this.outcomes);
      const well = outcomes.every((outcome) => outcome && !outcome.error);
      if (well) await Promise.all(this.processes.splice(0).map(giveBack));
      return outcomes;
    } finally {
      for (const child of this.processes) child.kill('SIGKILL');
      rmSync(this.directory, { recursive: true });
    }
  }

  private follow(child: ChildProcess): Promise<Outcome | undefined> {
    return new Promise((resolve) => {
      const settle = (outcome?: Outcome) => {
        child.off('message', hear).off('exit', died);
        resolve(outcome);
      };
      const hear = (message: unknown) => {
        if (typeof message === 'object' && message !== null) settle(message as Outcome);
      };
      const died = () => settle();
      child.on('message', hear).on('exit', died);
    });
  }
}

/** Runs one scenario on every rank and returns the outcomes. */
export async function run(options: RankOptions): Promise<(Outcome | undefined)[]> {
  return (await Ranks.start(options)).end();
}
