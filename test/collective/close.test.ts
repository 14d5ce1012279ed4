import { describe, expect, it } from 'vitest';
import type { Communicator } from '../../src/collective/communicator.js';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { run } from './ranks.js';
import { callsOn, failuresOf } from './fixtures/close-scenarios.js';

const closed = Object.fromEntries(
  Object.keys(callsOn({} as Communicator)).map((name) => [name, 'COMMUNICATOR_CLOSED']),
);

describe('a closed communicator', () => {
  it.each(['ipc', 'tcp'] as const)('rejects pending and later calls at once over %s', async (transport) => {
    const about = { worldSize: 2, transport, hosts: transport === 'tcp' ? ['a', 'b'] : undefined };
    const [first] = await run({ ...about, scenario: 'closedWhileWaiting', timeoutMs: 60_000 });
    const { under, after, ms } = first?.result as { under: string[]; after: object; ms: number };
    expect(under).toEqual(new Array(3).fill('COMMUNICATOR_CLOSED'));
    expect(after).toEqual(closed);
    expect(ms).toBeLessThan(20_000);
  });

  it('rejects every call on a single rank', async () => {
    const communicator = new LocalCommunicator();
    await communicator.close();
    await communicator.close();
    expect(await (failuresOf as (of: LocalCommunicator) => Promise<object>)(communicator)).toEqual(closed);
  });
});
