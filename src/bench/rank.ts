import { endWithParent } from '../job/launch/end-with-parent.js';
import { readJobEnvironment } from '../job/join/environment.js';
import { Membership } from '../job/member/membership.js';
import { distributedSchema } from '../config/schema.js';
import { tcpAddress } from '../transport/addresses.js';
import type { Thresholds } from '../collective/selection.js';
import type { Security } from '../transport/security.js';
import { tasks, type Task } from './tasks/index.js';

/** Settings of `distributed` that decide how values travel. */
export type TransportSettings = Thresholds & { security: Security };

/** Options of a rank of a benchmark, given at its start. */
export interface RankOptions {
  /** Overrides of the defaults in the recipe's schema. */
  settings?: Partial<TransportSettings>;
  /** Whether the rank records its spans for a trace. */
  trace: boolean;
}

async function serve({ host, settings, trace }: RankOptions & { host: string }): Promise<void> {
  const place = readJobEnvironment(process.env);
  const distributed = distributedSchema.parse(settings ?? {});
  endWithParent();
  const member = await Membership.join({
    rank: place.rank,
    worldSize: place.worldSize,
    address: tcpAddress(place.host, place.port),
    token: place.token,
    host,
    digest: 'benchmark',
    joinTimeoutMs: 120_000,
    stallTimeoutMs: 120_000,
    collectiveTimeoutMs: 120_000,
    checkCollectives: false,
    security: distributed.security,
    thresholds: distributed,
    trace,
    guardParent: true,
  });
  // Waiting for the next task is no stall.
  setInterval(() => member.progress('benchmark'), 5000);
  process.on('message', (task: Task) => {
    const run = tasks[task.name] as (
      communicator: Membership['communicator'],
      task: Task,
      tracer: Membership['tracer'],
    ) => Promise<unknown>;
    run(member.communicator, task, member.tracer).then(
      (result) => process.send?.(result),
      (error: unknown) => member.fail(error).then(() => process.exit(1)),
    );
  });
  process.send?.('joined');
}

await serve(JSON.parse(process.argv[2]) as RankOptions & { host: string });
