import { describe, expect, it } from 'vitest';
import {
  canonicalHost,
  isLoopback,
  isWildcard,
  listeningAddress,
  tcpAddress,
} from '../../src/transport/addresses.js';

describe('isLoopback', () => {
  it.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'localhost.localdomain',
    'rank0.localhost',
    'ip6-localhost',
    '127.0.0.1',
    '127.0.1.1',
    '127.255.255.254',
    '127.1',
    '0x7f.0.0.1',
    '2130706433',
    '::1',
    '[::1]',
    '0:0:0:0:0:0:0:1',
    '[0:0:0:0:0:0:0:1]',
    '0000::0001',
    '::ffff:127.0.0.1',
    '[::FFFF:127.0.0.1]',
    '::ffff:7f00:1',
    ' 127.0.0.1 ',
  ])('accepts %s', (host) => expect(isLoopback(host)).toBe(true));

  it.each([
    'node1',
    'localhost.example.org',
    'mylocalhost',
    '128.0.0.1',
    '10.0.0.1',
    '0.0.0.0',
    '::',
    'fe80::1',
    '::2',
    '::ffff:10.0.0.1',
    '127.example.org',
    'fe80::1%eth0',
    '',
  ])('rejects %s', (host) => expect(isLoopback(host)).toBe(false));
});

describe('addresses of hosts', () => {
  it.each([
    ['localhost', '127.0.0.1'],
    ['[::1]', '::1'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::ffff:192.168.255.1', '192.168.255.1'],
    ['2001:DB8:0:0::5', '2001:db8::5'],
    ['Node-1.example', 'Node-1.example'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
  ])('canonicalHost writes %s as %s', (host, canonical) => expect(canonicalHost(host)).toBe(canonical));

  it('tcpAddress puts IPv6 hosts in brackets', () => {
    expect(tcpAddress('fd00::1', 5)).toBe('tcp://[fd00::1]:5');
    expect(tcpAddress('10.0.0.1', '*')).toBe('tcp://10.0.0.1:*');
  });

  it('isWildcard accepts the names of all addresses', () => {
    expect(['0.0.0.0', '::', '[::]', '*', '0:0:0:0:0:0:0:0'].map(isWildcard)).not.toContain(false);
    expect(['10.0.0.0', 'node', '::1'].map(isWildcard)).not.toContain(true);
  });
});

describe('listeningAddress', () => {
  const own = ['10.0.0.1', '192.168.1.1', 'fd00::1'];
  it.each([
    ['the address of the route', '10.0.0.1', ['192.168.1.1'], '10.0.0.1'],
    [
      'loopback if all ranks reach the coordinator over loopback',
      '127.0.0.1',
      ['127.0.0.1', '127.0.1.1'],
      '127.0.0.1',
    ],
    ['loopback if no rank says how it reaches the coordinator', '127.0.0.1', [], '127.0.0.1'],
    ['the address that other ranks reach', '127.0.0.1', ['127.0.1.1', '192.168.1.1'], '192.168.1.1'],
    ['an own address behind a translated one', '127.0.0.1', ['172.16.0.9'], '10.0.0.1'],
    ['an own address of the same family', '::1', ['fd99::9'], 'fd00::1'],
  ])('is %s', (_what, route, reached, expected) => {
    expect(listeningAddress(route, reached, own)).toBe(expected);
  });
});
