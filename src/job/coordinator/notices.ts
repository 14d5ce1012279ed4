import type { WorkerMessage } from '../control/protocol.js';
import { runningClock } from '../../util/running-clock.js';
import type { Generation } from './generation.js';
import { describeWait } from './lateness.js';
import type { Roster } from './roster.js';

/** Tells the user, once each, what the beats of the ranks show: ranks that others wait for, and strangers at data ports. */
export class Notices {
  private strangersTold = false;

  constructor(
    private readonly roster: Roster,
    private readonly say: (line: string) => void,
  ) {}

  beat(rank: number, beat: Extract<WorkerMessage, { type: 'beat' }>, { lateness }: Generation): void {
    this.tellOfStrangers(rank, beat.strangers ?? 0);
    lateness.beat(rank, beat.collectives, runningClock.now());
  }

  tellOfLate({ lateness }: Generation, now: number): void {
    for (const late of lateness.find(now)) {
      const member = this.roster.get(late.rank);
      if (!member || member.finished) continue;
      const { host, liveness } = member;
      this.say(`rank ${late.rank} on host ${host} is late (${liveness.doing}): ${describeWait(late)}`);
    }
  }

  private tellOfStrangers(rank: number, strangers: number): void {
    if (this.strangersTold || strangers === 0) return;
    this.strangersTold = true;
    const host = this.roster.get(rank)?.host;
    this.say(
      `strangers connect to the data ports of rank ${rank} on host ${host}; they get no answer, and the job goes on`,
    );
  }
}
