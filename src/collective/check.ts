import { PodDistError } from '../errors.js';
import type { Command } from './channel.js';
import type { Mesh } from './mesh.js';
import { decodeHeader } from './wire.js';

/**
 * Compares a collective with what every other rank is about to call, before any value is sent: one exchange of
 * descriptions, N - 1 messages a rank.
 *
 * `COLLECTIVE_MISMATCH` on every rank where kind, type, operation, wire, root, length, parts, tag or order differ; its
 * message gives each side's call and where in the program it stands.
 */
export async function checkAgreement(command: Command, sequence: number, mesh: Mesh): Promise<void> {
  const { kind, type, op, wire, root, length, tag, offsets, site } = command;
  const own = JSON.stringify({ kind, type, op, wire, root, length, tag, offsets, site });
  const payload = Buffer.from(own);
  for (const peer of mesh.peers) {
    const about = { kind: 'check', type: 'float32', op: 'sum', wire: 'float32', sequence } as const;
    const where = { step: 0, chunk: 0, source: mesh.rank, tag: 0, elements: 0, bytes: payload.length };
    mesh.edge(peer).send({ ...about, ...where }, payload);
  }
  const calls = new Map<number, Call>([[mesh.rank, JSON.parse(own) as Call]]);
  for (const peer of mesh.peers) {
    const message = await mesh.edge(peer).receive();
    const header = decodeHeader(message.header);
    if (header.kind !== 'check' || header.sequence !== sequence) {
      throw new PodDistError(
        'COLLECTIVE_MISMATCH',
        `rank ${mesh.rank} compares collective ${sequence} and got a ${header.kind} of collective ${header.sequence} from rank ${peer}`,
      );
    }
    calls.set(peer, JSON.parse(message.payload.toString('utf8')) as Call);
  }
  compare(calls, sequence);
}

type Call = Pick<Command, 'kind' | 'type' | 'op' | 'wire' | 'root' | 'length' | 'tag' | 'offsets' | 'site'>;

function compare(calls: ReadonlyMap<number, Call>, sequence: number): void {
  const sides = new Map<string, { ranks: number[]; call: Call }>();
  for (const rank of [...calls.keys()].sort((a, b) => a - b)) {
    const call = calls.get(rank) as Call;
    const key = JSON.stringify({ ...call, site: '' });
    const side = sides.get(key) ?? { ranks: [], call };
    side.ranks.push(rank);
    sides.set(key, side);
  }
  if (sides.size === 1) return;
  const list = [...sides.values()].map(
    ({ ranks, call }) => `rank ${ranks.join(', ')}: ${describe(call)} at ${call.site || 'an unknown place'}`,
  );
  throw new PodDistError(
    'COLLECTIVE_MISMATCH',
    `the ranks differ in collective ${sequence}: ${list.join('; ')}; every rank must make the same calls in the same order`,
  );
}

function describe({ kind, type, op, wire, root, length, tag, offsets }: Call): string {
  const details = [
    kind === 'allReduce' || kind === 'reduceScatter' ? op : '',
    kind === 'broadcast' ? `root ${root}` : '',
    wire === 'float32' ? '' : `wire ${wire}`,
    offsets.length > 0 ? `parts at ${offsets.join(' ')}` : '',
  ].filter((detail) => detail !== '');
  return `${kind} '${tag}' of ${length} ${type}${details.length > 0 ? ` (${details.join(', ')})` : ''}`;
}
