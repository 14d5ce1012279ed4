import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { archiveLibrary } from '../../../src/backend/native/archive.js';
import { FaultyServer } from '../../data/fetch/server.js';
import { Workplace } from '../../integration/command.js';

const name = 'libtensorflow-cpu-linux-x86_64-2.9.1.tar.gz';
const place = new Workplace();
const library = randomBytes(300_000);
let server: FaultyServer;
let base: string;
let sha256: string;

beforeAll(async () => {
  const content = place.path('content');
  for (const [file, bytes] of [
    ['lib/libtensorflow.so.2', library],
    ['lib/libtensorflow_framework.so.2', randomBytes(1000)],
    ['include/tensorflow/c/c_api.h', Buffer.from('/* */\n')],
  ] as const) {
    mkdirSync(join(content, file, '..'), { recursive: true });
    writeFileSync(join(content, file), bytes);
  }
  execFileSync('tar', ['-czf', place.path(name), '-C', content, '.']);
  const archive = readFileSync(place.path(name));
  sha256 = createHash('sha256').update(archive).digest('hex');
  server = new FaultyServer({ [name]: archive });
  base = await server.start();
});
afterAll(async () => {
  await server.stop();
  await place.clear();
});

describe('archiveLibrary', () => {
  let cache: string;
  let steps: string[];
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    steps = [];
    vi.stubEnv('POD_DIST_CACHE', cache);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(cache, { recursive: true });
  });

  const fetchLibrary = (home: string, digest = sha256) =>
    archiveLibrary(
      join(cache, home),
      false,
      { step: (line) => steps.push(line), bytes() {} },
      { url: `${base}${name}`, sha256: digest },
    );

  it('resumes an interrupted download in a second run, and unpacks the archive', async () => {
    const part = join(cache, 'downloads', `${name}.part`);
    server.next({ kind: 'drop', after: 100_000, file: part }, { kind: 'status', code: 403 });
    await expect(fetchLibrary('first')).rejects.toMatchObject({
      code: 'SETUP_FAILED',
      message: expect.stringMatching(/HTTP 403 Forbidden.*what has come so far is kept/),
    });
    expect(statSync(part).size).toBe(100_000);
    server.next();
    const { version, folder, files } = await fetchLibrary('second');
    expect(server.ranges).toEqual(['bytes=100000-']);
    expect([version, files]).toEqual(['2.9.1', ['libtensorflow.so.2', 'libtensorflow_framework.so.2']]);
    expect(readFileSync(join(folder, files[0])).equals(library)).toBe(true);
    server.next();
    await fetchLibrary('third');
    expect(server.ranges).toEqual([]);
    expect(steps).toContainEqual(expect.stringMatching(/^downloading libtensorflow-.* again \(.+\)$/));
  });

  it('rejects a file with another checksum than the published one', async () => {
    server.next();
    await expect(fetchLibrary('other', '0'.repeat(64))).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
      message: expect.stringMatching(/is not the file that was published.*--library/),
    });
    expect(server.ranges).toEqual(['-', '-']);
    expect(existsSync(join(cache, 'downloads', name))).toBe(false);
  });
});

describe('pod-dist setup --from archive', () => {
  const setup = (from: string) =>
    place.start(['setup', '--from', 'archive', '--cuda=false'], {
      POD_DIST_CACHE: place.path('cache'),
      TFJS_NODE_BASE_URI: `${from}libtensorflow-`,
    }).ended;

  it('rejects a mirror with another file', async () => {
    server.next();
    expect(await setup(base)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^pod-dist: \S+2\.9\.1\.tar\.gz is not the file[^\n]+SHA256[^\n]+\n$/),
    });
  });

  it('reports in one line that a host cannot be reached', async () => {
    const closed = new FaultyServer({});
    const dead = await closed.start();
    await closed.stop();
    const ended = await setup(dead);
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /^pod-dist: libtensorflow 2\.9\.1 cannot be had: [^\n]+\(ECONNREFUSED\): see whether [^\n]+--library[^\n]+\n$/,
      ),
    });
    expect(ended.stdout).toContain('again (ECONNREFUSED)');
  });
});
