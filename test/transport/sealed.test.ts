import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { directionName, type Connection, type Message } from '../../src/transport/connection.js';
import { SealedConnection } from '../../src/transport/sealed.js';
import { encodeHeader, headerBytes } from '../../src/transport/wire.js';

/** A network that keeps messages where the test can change them. */
class Network implements Connection {
  readonly stream = 0;
  sent: { header: Buffer; payload: Buffer }[] = [];

  constructor(readonly peer: number) {}

  send(header: Uint8Array, payload: Uint8Array): void {
    this.sent.push({ header: Buffer.from(header), payload: Buffer.from(payload) });
  }

  async receive(): Promise<Message> {
    return this.sent.shift() as Message;
  }

  look(): Message | undefined {
    return this.sent[0];
  }

  async close(): Promise<void> {}
}

const about = { kind: 'allReduce', type: 'float32', op: 'sum', wire: 'float32', stream: 0 } as const;
const header = encodeHeader({
  ...about,
  ...{ sequence: 1, step: 0, chunk: 0, source: 0, tag: 0, elements: 0, bytes: 13, generation: 0 },
});
const text = Buffer.from('thirteen byte');

function pair(encrypted: boolean, secrets = ['one', 'one']) {
  const network = new Network(1);
  const end = (rank: number, peer: number, secret: string) => {
    const inner = rank === 0 ? network : Object.assign(new Network(peer), { sent: network.sent });
    const keyOf = (direction: string) =>
      createHash('sha256')
        .update(secret + direction)
        .digest();
    return new SealedConnection(inner, { rank, encrypted, keyOf });
  };
  return { network, sender: end(0, 1, secrets[0]), receiver: end(1, 0, secrets[1]) };
}

describe.each([true, false])('a sealed connection, encrypted: %s', (encrypted) => {
  it('receives what its peer sent, in order', async () => {
    const { network, sender, receiver } = pair(encrypted);
    for (const payload of [text, Buffer.alloc(0), text]) sender.send(header, payload);
    expect(network.sent[0].header).toHaveLength(headerBytes + 16);
    expect(network.sent[0].payload.equals(text)).toBe(!encrypted);
    // Equal messages have different bytes: the nonce counts messages.
    expect(network.sent[0].header.equals(network.sent[2].header)).toBe(false);
    expect(receiver.look()?.payload).toEqual(text);
    for (const payload of [text, Buffer.alloc(0), text]) {
      const message = await receiver.receive(payload.length);
      expect([Buffer.from(message.header), Buffer.from(message.payload)]).toEqual([header, payload]);
    }
  });

  it.each([
    ['whose payload is changed', ({ sent }: Network) => (sent[0].payload[3] ^= 1)],
    ['whose header is changed', ({ sent }: Network) => (sent[0].header[12] ^= 1)],
    ['whose tag is changed', ({ sent }: Network) => (sent[0].header[headerBytes] ^= 1)],
    ['whose tag is cut', ({ sent }: Network) => (sent[0].header = sent[0].header.subarray(0, 20))],
    ['whose payload is cut', ({ sent }: Network) => (sent[0].payload = sent[0].payload.subarray(1))],
    ['after a dropped message', ({ sent }: Network) => sent.splice(0, 1)],
    ['that arrives before an earlier message', ({ sent }: Network) => sent.reverse()],
  ])('rejects a message %s', async (_, attack) => {
    const { network, sender, receiver } = pair(encrypted);
    sender.send(header, text);
    sender.send(header, text);
    attack(network);
    await expect(receiver.receive(13)).rejects.toMatchObject({ code: 'PROTOCOL_ERROR' });
  });

  it('rejects repeated messages, messages of its own, and messages of another job', async () => {
    const { network, sender, receiver } = pair(encrypted);
    sender.send(header, text);
    const [repeated] = network.sent;
    await receiver.receive(13);
    network.sent.push(repeated);
    await expect(receiver.receive(13)).rejects.toMatchObject({ code: 'PROTOCOL_ERROR' });
    sender.send(header, text);
    await expect(sender.receive(13)).rejects.toMatchObject({ code: 'PROTOCOL_ERROR' });
    const other = pair(encrypted, ['one', 'two']);
    other.sender.send(header, text);
    await expect(other.receiver.receive(13)).rejects.toMatchObject({ code: 'PROTOCOL_ERROR' });
  });
});

it('directionName differs for each direction and stream', () => {
  expect(new Set([directionName(0, 1, 0), directionName(1, 0, 0), directionName(0, 1, 1)]).size).toBe(3);
});
