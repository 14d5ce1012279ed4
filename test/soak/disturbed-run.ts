import { closeSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readJobState } from '../../src/record/job-state.js';
import { actions, corrupt, disconnect, phases } from './inject.js';
import { Run } from './run.js';

/** A run that faults are ordered for: its ranks carry them out (`inject.ts`), or its processes are killed from here. */
export class DisturbedRun extends Run {
  /** The faults so far. */
  readonly made: string[] = [];

  constructor(
    folder: string,
    settings: readonly string[],
    private readonly disconnects: number,
    small: boolean,
  ) {
    super(folder, settings, small);
  }

  /** Fills the disk of the run for two seconds, during which a rank is killed. */
  async fillDisk(): Promise<void> {
    await this.until(() => this.steps > 0);
    const filler = join(this.folder, 'logs', 'filler');
    const file = openSync(filler, 'w');
    try {
      for (;;) writeSync(file, Buffer.alloc(2 ** 16));
    } catch {
      this.give('forward.kill');
      await delay(2000);
    } finally {
      closeSync(file);
      rmSync(filler);
    }
  }

  /** Orders a flipped byte in the snapshot of a rank, just before the snapshot is needed. */
  corrupt(): void {
    if (this.running) this.give(corrupt);
  }

  /** Orders `count` faults, one after another; resolves with the number that was carried out. */
  async disturb(count: number, random: () => number): Promise<number> {
    let made = 0;
    // A fault before the first step ends a run.
    await this.until(() => this.steps > 0);
    while (made < count && this.running) {
      const before = this.steps;
      const two = random() < 0.15;
      for (let index = 0; index < (two ? 2 : 1); index++) this.order(random);
      if (!(await this.until(() => readdirSync(this.orders).length === 0))) break;
      made += two ? 2 : 1;
      if (!(await this.until(() => this.steps > before + 2))) break;
    }
    return made;
  }

  private order(random: () => number): void {
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)];
    if (random() < this.disconnects) return this.give(disconnect);
    if (random() < 0.12) return this.killAgent();
    if (random() < 0.02) {
      this.made.push('launcher.kill');
      return this.killLauncher();
    }
    if (random() < 0.05) return this.killBoth(random);
    const phase = pick(phases);
    // A recovery happens only after another fault.
    if (phase === 'recovery' || phase === 'start') writeFileSync(join(this.orders, 'forward.kill'), '');
    // A worker that stops costs five seconds of silence, so it is ordered less often.
    const action = random() < 0.1 ? 'stop' : pick(actions.filter((one) => one !== 'stop'));
    this.give(`${phase}.${action}`);
  }

  private give(order: string): void {
    writeFileSync(join(this.orders, order), '');
    this.made.push(order);
  }

  /** Kills a rank and its buddy, which has the copy of the rank's snapshot. */
  private killBoth(random: () => number): void {
    const ranks = readJobState(this.folder)?.ranks ?? [];
    const first = Math.floor(random() * ranks.length);
    for (const rank of [first, (first + 1) % ranks.length])
      try {
        process.kill(ranks[rank].pid, 'SIGKILL');
      } catch {
        // Another fault was faster.
      }
    this.made.push('both.kill');
  }

  /** Kills the process that runs the coordinator. */
  private killAgent(): void {
    const state = readJobState(this.folder);
    if (!state) return;
    process.kill(state.agent.pid, 'SIGKILL');
    this.made.push('agent.kill');
  }

  private async until(condition: () => boolean): Promise<boolean> {
    const deadline = performance.now() + 60_000;
    while (this.running && performance.now() < deadline) {
      if (condition()) return true;
      await delay(50);
    }
    return condition();
  }
}
