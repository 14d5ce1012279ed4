import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Workplace } from '../../integration/command.js';

describe('bugreport', () => {
  const place = new Workplace();
  const secret = 'ab'.repeat(32);
  const stack = place.path('pod-dist-error-XyZ123');
  let texts: Map<string, string>;

  beforeAll(async () => {
    await place.train(2, ['epochs=1'], { out: 'run' });
    mkdirSync(place.path('run/logs'), { recursive: true });
    mkdirSync(stack);
    writeFileSync(join(stack, 'stack.txt'), `Error: at ${homedir()}/own.js\n`);
    const lines = [
      'an early line\n'.repeat(30_000),
      `rank 1 on host ${hostname()} at 192.168.3.4, secret ${secret}\n`,
      `pod-dist: unexpected error: it broke; its stack is in ${stack}/stack.txt\n`,
    ];
    appendFileSync(place.path('run/logs/rank-1.log'), lines.join(''));
    const job = { generation: 0, ranks: [], spares: [], workers: [], nextWorker: 2, term: 0, secret };
    const agent = { host: hostname(), pid: 1, started: null, machine: 'm' };
    mkdirSync(place.path('run/job'), { recursive: true });
    writeFileSync(place.path('run/job/job.json'), JSON.stringify({ ...job, agent }));
    const { code, stdout, stderr } = await place.ask('bugreport', 'run', '--out', 'bug.tar.gz', '--json');
    expect(code, stderr).toBe(0);
    const { files } = JSON.parse(stdout) as { files: string[] };
    execFileSync('tar', ['-xzf', place.path('bug.tar.gz'), '-C', place.folder]);
    texts = new Map(files.map((name) => [name, readFileSync(place.path('bug', name), 'utf8')]));
  });
  afterAll(() => place.clear());

  it('contains machine, settings, job, ends of logs, and stacks', () => {
    expect([...texts.keys()].toSorted()).toEqual(
      expect.arrayContaining([
        'config.yaml',
        'files.txt',
        'job/job.json',
        'logs/rank-1.log',
        'machine.json',
        'metrics.jsonl',
        'report.json',
        'stacks/pod-dist-error-XyZ123.txt',
        'status.json',
      ]),
    );
    expect(texts.get('machine.json')).toContain(process.versions.node);
    expect(texts.get('config.yaml')).toBe(readFileSync(place.path('run/config.yaml'), 'utf8'));
    expect(texts.get('files.txt')).toMatch(/ \d+ checkpoints\/epoch-0001\/checkpoint\.json\n/);
    expect(texts.get('logs/rank-1.log')?.length).toBeLessThan(300_000);
  });

  it('contains no secret, host name, address, path, weights or evaluation', () => {
    const all = [...texts.values()].join('\n');
    expect(all).not.toContain(secret);
    expect(all).not.toContain('192.168.3.4');
    expect(all).not.toContain(place.folder);
    const line = texts.get('logs/rank-1.log')?.split('\n').at(-3);
    expect(line).toBe('rank 1 on host <host-1> at <address-1>, secret <secret>');
    expect(texts.get('stacks/pod-dist-error-XyZ123.txt')).toBe('Error: at <home>/own.js\n');
    expect([...texts.keys()].filter((name) => /\.bin$|evaluation/.test(name))).toEqual([]);
  });

  it('overwrites no file, and leaves no partial file', async () => {
    const before = readdirSync(place.folder);
    const again = await place.ask('bugreport', 'run', '--out', 'bug.tar.gz');
    expect(again).toMatchObject({
      code: 2,
      lastLine: expect.stringMatching(
        /^pod-dist: bug\.tar\.gz is there already: name another one with --out \(see /,
      ),
    });
    const nowhere = await place.ask('bugreport', 'run', '--out', 'no/such/folder.tar.gz');
    expect(nowhere).toMatchObject({
      code: 2,
      lastLine: expect.stringMatching(
        /^pod-dist: cannot write no\/such\/folder\.tar\.gz: it does not exist \(see /,
      ),
    });
    expect(await place.ask('bugreport', 'elsewhere')).toMatchObject({ code: 2 });
    expect(readdirSync(place.folder)).toEqual(before);
    expect(existsSync(place.path('bug.tar.gz'))).toBe(true);
  });
});
