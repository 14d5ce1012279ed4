import { z } from 'zod';
import { PodDistError } from '../util/errors.js';
import type { Message } from '../transport/connection.js';
import { decodeHeader, elementTypes, encodeHeader, kinds, ops, wireTypes } from '../transport/wire.js';
import type { Command } from './channel.js';
import type { Links } from './mesh.js';
import type { Steps } from './steps.js';

/**
 * Compares a collective with what every other rank is about to call, before any value is sent: one exchange of
 * descriptions, N - 1 messages a rank.
 *
 * `COLLECTIVE_MISMATCH` on every rank where kind, type, operation, wire, root, length, parts, tag or order differ; its
 * message gives each side's call and where in the program it stands.
 */
export function* checkAgreement(command: Command, links: Links): Steps {
  const { sequence } = command;
  const { rank, ranks, stream, generation } = links;
  const peers = ranks.filter((other) => other !== rank);
  const own = callOf(command);
  const payload = Buffer.from(JSON.stringify(own));
  const about = { kind: 'check', type: 'float32', op: 'sum', wire: 'float32', stream, sequence } as const;
  const where = { step: 0, chunk: 0, source: rank, tag: 0, elements: 0, bytes: payload.length, generation };
  const frame = encodeHeader({ ...about, ...where });
  for (const peer of peers) links.connection(peer).send(frame, payload);
  const calls = new Map<number, Call>([[rank, own]]);
  for (const peer of peers) {
    const message = yield { connection: links.connection(peer), bytes: payload.length };
    const header = decodeHeader(message.header);
    if (header.kind !== 'check' || header.sequence !== sequence) {
      throw new PodDistError(
        'COLLECTIVE_MISMATCH',
        `rank ${rank} compares collective ${sequence} and got a ${header.kind} of collective ${header.sequence} from rank ${peer}`,
      );
    }
    calls.set(peer, readCall(message.payload, peer));
  }
  compare(calls, sequence);
}

/**
 * Disagreement between a peer's message in one stream and a collective that this rank has in another one:
 * `COLLECTIVE_MISMATCH` where both are the same collective of the program, else undefined.
 */
export function disagreementWith(
  { header, payload }: Message,
  peer: number,
  command: Command,
  rank: number,
): PodDistError | undefined {
  const { kind, sequence, elements, type } = decodeHeader(header);
  if (sequence !== command.sequence) return undefined;
  const own = { ranks: [rank], call: callOf(command) };
  if (kind === 'check') {
    const other = { ranks: [peer], call: readCall(payload, peer) };
    return difference(rank < peer ? [own, other] : [other, own], sequence, apart);
  }
  return new PodDistError(
    'COLLECTIVE_MISMATCH',
    `rank ${rank} in ${describe(own.call)} (collective ${sequence}) got from rank ${peer}: ` +
      `${kind} of ${elements} ${type}${apart}; every rank must call the same collectives in the same order with the same ` +
      'lengths (distributed.checkCollectives names both call sites)',
  );
}

const apart = ', and only one of the two blocks and is short';

function callOf({ kind, type, op, wire, root, length, tag, offsets, site }: Command): Call {
  return { kind, type, op, wire, root, length, tag, offsets, site };
}

type Call = Pick<Command, 'kind' | 'type' | 'op' | 'wire' | 'root' | 'length' | 'tag' | 'offsets' | 'site'>;

const whole = z.int().min(0);
const callSchema: z.ZodType<Call> = z.object({
  kind: z.enum(kinds),
  type: z.enum(elementTypes),
  op: z.enum(ops),
  wire: z.enum(wireTypes),
  root: whole,
  length: whole,
  tag: z.string(),
  offsets: z.array(whole),
  site: z.string(),
});

/**
 * Reads the description of a peer's call.
 *
 * @throws PodDistError `PROTOCOL_ERROR` for anything else
 */
export function readCall(payload: Uint8Array, peer: number): Call {
  try {
    return callSchema.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
  } catch (cause) {
    const message = `rank ${peer} describes its call in bytes that are not pod-dist's`;
    throw new PodDistError('PROTOCOL_ERROR', message, { cause });
  }
}

/** A call, and the ranks that are about to make it. */
interface Side {
  ranks: number[];
  call: Call;
}

function compare(calls: ReadonlyMap<number, Call>, sequence: number): void {
  const sides = new Map<string, Side>();
  for (const rank of [...calls.keys()].sort((a, b) => a - b)) {
    const call = calls.get(rank) as Call;
    const key = JSON.stringify({ ...call, site: '' });
    const side = sides.get(key) ?? { ranks: [], call };
    side.ranks.push(rank);
    sides.set(key, side);
  }
  if (sides.size > 1) throw difference([...sides.values()], sequence);
}

function difference(sides: readonly Side[], sequence: number, note = ''): PodDistError {
  const list = sides.map(
    ({ ranks, call }) => `rank ${ranks.join(', ')}: ${describe(call)} at ${call.site || 'an unknown place'}`,
  );
  return new PodDistError(
    'COLLECTIVE_MISMATCH',
    `the ranks differ in collective ${sequence}: ${list.join('; ')}${note}; every rank must make the same calls in the same order`,
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
