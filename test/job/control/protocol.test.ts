import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import {
  coordinatorMessage,
  decode,
  encode,
  protocolVersion,
  workerMessage,
  type CoordinatorMessage,
  type WorkerMessage,
} from '../../../src/job/control/protocol.js';
import { randomStream } from '../../../src/util/random.js';

const hello: WorkerMessage = {
  type: 'hello',
  version: protocolVersion,
  rank: 1,
  worldSize: 2,
  host: 'h',
  machine: 'm',
  pid: 3,
  digest: 'd',
};

const pack = (value: unknown) => new Packr({ useRecords: false }).pack(value);

describe('encode and decode', () => {
  const workers: WorkerMessage[] = [
    hello,
    { type: 'endpoints', endpoints: { '0': 'ipc:///x' } },
    { type: 'agree', name: 'weights', value: 'abc' },
    { type: 'gather', name: 'epoch', part: { totals: [1, 2, 2 ** 40], loss: 0.25, none: null } },
    {
      type: 'beat',
      progress: 9,
      waiting: true,
      phase: 'train',
      collectives: [
        { begun: 7, name: "allReduce 'gradients'", forMs: 1.5 },
        { begun: 6, name: '', forMs: 0 },
      ],
    },
    { type: 'failed', code: 'X', message: 'ü', user: false },
    { type: 'finished' },
  ];
  it.each(workers)("restore a worker's message: $type", (message) => {
    expect(decode(workerMessage, encode(message))).toEqual(message);
  });

  const answers: CoordinatorMessage[] = [
    { type: 'refused', code: 'JOIN_REFUSED', message: 'why' },
    { type: 'table', table: { '0': { '1': 'tcp://x:1' } } },
    { type: 'gathered', name: 'epoch', result: { record: [1] } },
    { type: 'abort', message: 'x' },
  ];
  it.each(answers)("restore a coordinator's message: $type", (message) => {
    expect(decode(coordinatorMessage, encode(message))).toEqual(message);
  });

  it('reject messages over the limit', () => {
    const part = new Uint8Array(65 * 2 ** 20);
    expect(() => encode({ type: 'gather', name: 'x', part })).toThrow(/over the limit/);
    expect(() => decode(workerMessage, part)).toThrow(/control message of 68157440 bytes/);
  });
});

describe('decode', () => {
  const nested = (depth: number) => Buffer.concat([Buffer.alloc(depth, 0x91), Buffer.of(0xc0)]);
  const hostile: [what: string, bytes: Uint8Array][] = [
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a message cut short', encode(hello).subarray(0, 20)],
    ['a message with more bytes after it', Buffer.concat([encode(hello), Buffer.of(1, 2, 3)])],
    ['an array that claims four thousand million entries', Buffer.of(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['a map that claims as many entries', Buffer.of(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ['a string that claims as many bytes', Buffer.of(0xdb, 0xff, 0xff, 0xff, 0xff, 0x61)],
    ['a hundred thousand nested arrays', nested(100_000)],
    ['an unknown extension', Buffer.of(0xd4, 0x55, 0x00)],
    ['null', pack(null)],
    ['an array', pack([hello])],
    ['a number', pack(7)],
    ['no type', pack({ rank: 1 })],
    ['an unknown type', pack({ type: 'shutdown' })],
    ["the other side's type", pack({ type: 'go' })],
    ['a rank that is text', pack({ ...hello, rank: '1' })],
    ['a negative rank', pack({ ...hello, rank: -1 })],
    ['a fractional rank', pack({ ...hello, rank: 0.5 })],
    ['no machine', pack({ ...hello, machine: undefined })],
    ['a host name that is too long', pack({ ...hello, host: 'x'.repeat(201) })],
    ['a BigInt', pack({ ...hello, rank: 2n ** 60n })],
    ['an infinite rank', pack({ ...hello, rank: Infinity })],
    ['a date', pack({ ...hello, host: new Date(0) })],
    ['a regular expression', Buffer.from([0x81, 0xa1, 0x61, 0xd4, 0x78, 0x01])],
    [
      'sixty megabytes of empty arrays',
      Buffer.concat([Buffer.of(0xdd, 3, 0x93, 0x87, 0), Buffer.alloc(60_000_000, 0x90)]),
    ],
    ['endpoints that are not text', pack({ type: 'endpoints', endpoints: { '0': 7 } })],
    ['a beat without progress', pack({ type: 'beat', waiting: false, phase: '' })],
  ];

  it.each(hostile)('rejects %s within a second', (_what, bytes) => {
    const began = process.cpuUsage();
    expect(() => decode(workerMessage, bytes)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_ERROR', message: expect.not.stringContaining('\n') }),
    );
    const { user, system } = process.cpuUsage(began);
    expect(user + system).toBeLessThan(1e6);
  });

  it('accepts or rejects 20,000 random messages without any other error', () => {
    const random = randomStream(5);
    const valid = encode(hello);
    for (let round = 0; round < 20_000; round++) {
      const bytes = round % 2 === 0 ? Buffer.alloc(1 + random.below(60)) : Buffer.from(valid);
      const changes = round % 2 === 0 ? bytes.length : 1 + random.below(4);
      for (let change = 0; change < changes; change++) {
        const at = round % 2 === 0 ? change : random.below(bytes.length);
        bytes[at] = random.below(256);
      }
      try {
        expect(decode(workerMessage, bytes)).toHaveProperty('type');
      } catch (error) {
        expect(error).toMatchObject({ code: 'PROTOCOL_ERROR' });
      }
    }
  });

  it('escapes control characters and line breaks in text', () => {
    const host = 'a\u001b[2Jb\r\nc\u009b1md\u2028e';
    expect(decode(workerMessage, pack({ ...hello, host }))).toMatchObject({
      host: 'a\\u001b[2Jb\\u000d\\u000ac\\u009b1md\\u2028e',
    });
  });

  it('ignores __proto__ and unknown fields', () => {
    const evil = pack(
      JSON.parse(JSON.stringify(hello).replace('{', '{"__proto__":{"polluted":1},"extra":2,')),
    );
    const message = decode(workerMessage, evil);
    expect(message).toEqual(hello);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect((message as Record<string, unknown>).polluted).toBeUndefined();
  });
});
