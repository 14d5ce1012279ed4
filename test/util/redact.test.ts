import { describe, expect, it } from 'vitest';
import { Redactor } from '../../src/util/redact.js';

describe('Redactor', () => {
  const redactor = new Redactor([
    { text: 'f'.repeat(64), instead: '<secret>' },
    { text: '/home/ann', instead: '<home>' },
    { text: '/home/ann/runs', instead: '<runs>' },
    { text: 'ann', instead: '<user>' },
    { text: 'vm', instead: '<host-1>' },
    { text: 'Bob Smith', instead: '<class-1>' },
    { text: 'Cy-Di', instead: '<class-2>' },
    { text: '', instead: '<nothing>' },
  ]);

  it.each([
    ['known secrets', `got ${'f'.repeat(64)}.`, 'got <secret>.'],
    ['the longest of two folders', '/home/ann/runs/a /home/ann/b', '<runs>/a <home>/b'],
    [
      'names that are whole words',
      'ann on vm: annual vmstat svm vm',
      '<user> on <host-1>: annual vmstat svm <host-1>',
    ],
    ['names before a number', 'Cy-Di/Cy-Di_0001.jpg Cy-Dir_1', '<class-2>/<class-2>_0001.jpg Cy-Dir_1'],
    ['names of several words', 'class Bob Smith (3)', 'class <class-1> (3)'],
    [
      'values by the name of their setting',
      'POD_DIST_TOKEN=abc "apiKey": "xyz", password: p',
      'POD_DIST_TOKEN=<secret> "apiKey": "<secret>", password: <secret>',
    ],
    ['headers', 'Authorization: Bearer abc.def', 'Authorization: <secret>'],
    ['user names in addresses', 'see https://me:pass@example.org/x', 'see https://<user>@example.org/x'],
    [
      'no digests or other numbers',
      `${'ab12'.repeat(16)} 1.2.3 12:30:45.5 tokens: 64`,
      `${'ab12'.repeat(16)} 1.2.3 12:30:45.5 tokens: 64`,
    ],
  ])('replaces %s', (_what, text, clean) => {
    expect(redactor.redact(text)).toBe(clean);
  });

  it('replaces an address by the same word everywhere, and keeps loopback', () => {
    const first = redactor.redact('tcp://10.0.0.7:29500 127.0.0.1 10.0.0.8');
    expect(first).toBe('tcp://<address-1>:29500 127.0.0.1 <address-2>');
    expect(redactor.redact('from 10.0.0.8, fe80::1c2:3ff:fe00:12 or ::1')).toBe(
      'from <address-2>, <address-3> or ::1',
    );
  });

  it('replaces 100,000 names in seconds', () => {
    const names = Array.from({ length: 100_000 }, (_, index) => ({ text: `p${index}x`, instead: '<class>' }));
    const began = performance.now();
    expect(new Redactor(names).redact('p99999x on p99999xy\n'.repeat(50_000))).toContain(
      '<class> on p99999xy\n',
    );
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
