import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/transport/connection.js';
import { encodeHeader } from '../../src/transport/wire.js';
import { implementations, meet } from './implementations.js';

function headerOf(sequence: number, bytes: number): Buffer {
  const about = { kind: 'allReduce', type: 'float32', op: 'sum', wire: 'float32', stream: 0 } as const;
  const numbers = { step: 0, chunk: 0, source: 0, tag: 0, elements: 0, generation: 0 };
  return encodeHeader({ ...about, ...numbers, sequence, bytes });
}

/** Bytes that differ with the position and the message. */
function payloadOf(sequence: number, bytes: number): Uint8Array {
  const period = Uint8Array.from({ length: 251 }, (_, index) => (index * 7 + sequence * 13) & 255);
  return Buffer.alloc(bytes, period);
}

const content = ({ header, payload }: Message) => [Buffer.from(header), Buffer.from(payload)];

describe.each(implementations)('a transport: $name', ({ make, longest }) => {
  const within = async (work: (made: ReturnType<typeof make>, lost: string[]) => Promise<void>) => {
    const lost: string[] = [];
    const made = make((rank, peer) => lost.push(`${rank} lost ${peer}`));
    try {
      await work(made, lost);
    } finally {
      await Promise.all(made.transports.map((transport) => transport.close()));
      made.remove();
    }
  };

  it('delivers messages of every length whole, once and in order, in both directions and each stream', () =>
    within(async ({ transports }) => {
      const [own, peers] = await meet(transports);
      expect(own.map(({ peer }) => peer)).toEqual(own.map(() => 1));
      const lengths = [0, 1, 100, 16_384, 16_385, 300_000, longest];
      for (const [stream, connection] of own.entries()) {
        for (const [sequence, length] of lengths.entries()) {
          for (const [from, to] of [
            [connection, peers[stream]],
            [peers[stream], connection],
          ]) {
            from.send(headerOf(sequence, length), payloadOf(sequence, length));
            const message = await to.receive(length);
            expect(Buffer.compare(message.header, headerOf(sequence, length))).toBe(0);
            expect(Buffer.compare(message.payload, payloadOf(sequence, length))).toBe(0);
          }
        }
        for (const sequence of [1, 2]) connection.send(headerOf(sequence, 9), payloadOf(sequence, 9));
        for (const sequence of [1, 2])
          expect(content(await peers[stream].receive(9))[0]).toEqual(headerOf(sequence, 9));
      }
    }));

  it('delivers payloads that are longer or shorter than expected', () =>
    within(async ({ transports }) => {
      const [[own], [peer]] = await meet(transports);
      for (const [sent, expected] of [
        [40, 44],
        [44, 40],
        [0, 8],
      ]) {
        own.send(headerOf(1, sent), payloadOf(1, sent));
        expect((await peer.receive(expected)).payload).toHaveLength(sent);
      }
    }));

  it('receives a payload with a given target array', () =>
    within(async ({ transports }) => {
      const [[own], [peer]] = await meet(transports);
      const into = new Uint8Array(50_000);
      own.send(headerOf(1, into.length), payloadOf(1, into.length));
      const { payload } = await peer.receive(into.length, into);
      expect(Buffer.from(payload)).toEqual(Buffer.from(payloadOf(1, into.length)));
    }));

  it('closes every descriptor that it has opened', async () => {
    const open = () => readdirSync('/proc/self/fd').length;
    await within(async ({ transports }) => void (await meet(transports)));
    await delay(200);
    const before = open();
    for (let round = 0; round < 5; round++)
      await within(async ({ transports }) => void (await meet(transports)));
    await expect.poll(open, { timeout: 5000 }).toBeLessThanOrEqual(before + 1);
  });
});

describe.each(implementations.filter(({ name }) => name !== 'host'))('a transport: $name', ({ make }) => {
  it('look leaves the next message in place, and lost reports a peer that closes', async () => {
    const lost: string[] = [];
    const { transports, remove } = make((rank, peer) => lost.push(`${rank} lost ${peer}`));
    const [[own], [peer]] = await meet(transports);
    expect(peer.look()).toBeUndefined();
    own.send(headerOf(1, 9), payloadOf(1, 9));
    own.send(headerOf(2, 9), payloadOf(2, 9));
    await expect.poll(() => peer.look() !== undefined, { timeout: 5000 }).toBe(true);
    for (const sequence of [1, 2]) expect(content(await peer.receive(9))[0]).toEqual(headerOf(sequence, 9));
    await transports[0].close();
    await expect.poll(() => lost, { timeout: 5000 }).toContain('1 lost 0');
    expect(lost).not.toContain('0 lost 1');
    await transports[1].close();
    remove();
  });
});
