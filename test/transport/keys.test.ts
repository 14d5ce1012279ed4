import * as zmq from 'zeromq';
import { describe, expect, it } from 'vitest';
import { deriveKey, deriveKeyPair } from '../../src/transport/keys.js';

describe('keys derived from a secret', () => {
  it('are equal for equal secret and purpose, and differ otherwise', () => {
    expect(deriveKeyPair('secret', 'control')).toEqual(deriveKeyPair('secret', 'control'));
    const keys = [
      deriveKeyPair('secret', 'control'),
      deriveKeyPair('secret', 'data'),
      deriveKeyPair('other', 'control'),
    ];
    expect(new Set(keys.map(({ publicKey }) => publicKey)).size).toBe(3);
    expect(new Set(keys.map(({ secretKey }) => secretKey)).size).toBe(3);
  });

  it('have 32 bytes, written as 40 Z85 characters', () => {
    expect(deriveKey('secret', 'control')).toHaveLength(32);
    const { publicKey, secretKey } = deriveKeyPair('secret', 'control');
    for (const key of [publicKey, secretKey])
      expect(key).toMatch(/^[0-9a-zA-Z.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/);
  });

  it('connect only clients that know the secret', async () => {
    const server = deriveKeyPair('secret', 'control');
    const reply = new zmq.Reply({
      curveServer: true,
      curveSecretKey: server.secretKey,
      curvePublicKey: server.publicKey,
      linger: 0,
    });
    await reply.bind('tcp://127.0.0.1:*');
    const connect = (secret: string) => {
      const own = zmq.curveKeyPair();
      const request = new zmq.Request({
        curveServerKey: deriveKeyPair(secret, 'control').publicKey,
        curvePublicKey: own.publicKey,
        curveSecretKey: own.secretKey,
        linger: 0,
      });
      request.connect(reply.lastEndpoint as string);
      return request;
    };
    const stranger = connect('guess');
    stranger.sendTimeout = 500;
    await stranger.send('let me in').catch(() => {});
    const friend = connect('secret');
    await friend.send('hello');
    expect((await reply.receive()).toString()).toBe('hello');
    await reply.send('welcome');
    expect((await friend.receive()).toString()).toBe('welcome');
    for (const socket of [stranger, friend, reply]) socket.close();
  });
});
