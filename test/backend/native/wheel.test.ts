import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wheels } from '../../../src/backend/native/wheels.js';
import { memoryAddonFile } from '../../../src/transport/host/memory-addon.js';
import { zip } from '../../data/fetch/zip.js';
import { Workplace } from '../../integration/command.js';
import { needs } from '../../needs.js';

/** Name of the pinned wheel for this machine's Python; undefined without pip or without such a wheel. */
function wheelHere(): string | undefined {
  try {
    execFileSync('python3', ['-m', 'pip', '--version']);
    const version = execFileSync('python3', ['-c', 'import sys; print("%d%d" % sys.version_info[:2])']);
    return wheels.cpu.find(({ file }) => file.includes(`-cp${version.toString().trim()}-`))?.file;
  } catch {
    return undefined;
  }
}

const name = process.platform === 'linux' && process.arch === 'x64' ? wheelHere() : undefined;

describe('pinned wheels', () => {
  it('each have a checksum and a size, and one version per package', () => {
    for (const group of [wheels.cpu, wheels.cuda]) {
      expect(group.length).toBeGreaterThan(0);
      const versions = new Map(group.map(({ requirement }) => requirement.split('==') as [string, string]));
      for (const { file, requirement, bytes, sha256 } of group) {
        const [project, version] = requirement.split('==');
        expect(versions.get(project)).toBe(version);
        expect(file.startsWith(`${project.replaceAll('-', '_')}-${version}-`)).toBe(true);
        expect(sha256).toMatch(/^[0-9a-f]{64}$/);
        expect(bytes).toBeGreaterThan(1000);
      }
    }
  });
});

/** A Python package index on loopback that serves another file under the name of the pinned wheel. */
describe(
  'pod-dist setup with a manipulated package index',
  needs('a TensorFlow wheel for this platform', name),
  () => {
    const place = new Workplace();
    let index: Server;
    let fragment: string;
    const wheel = zip({
      'tensorflow/libtensorflow_cc.so.2': Buffer.from('harmful'),
      'tensorflow_cpu-2.21.0.dist-info/METADATA': Buffer.from(
        'Metadata-Version: 2.1\nName: tensorflow-cpu\nVersion: 2.21.0\n',
      ),
      'tensorflow_cpu-2.21.0.dist-info/WHEEL': Buffer.from('Wheel-Version: 1.0\nRoot-Is-Purelib: false\n'),
      'tensorflow_cpu-2.21.0.dist-info/RECORD': Buffer.from(''),
    });
    beforeAll(async () => {
      index = createServer((request, response) => {
        if (request.url?.endsWith('.whl')) response.end(wheel);
        else if (request.url === '/simple/tensorflow-cpu/')
          response
            .setHeader('content-type', 'text/html')
            .end(`<!DOCTYPE html><html><body><a href="/files/${name}${fragment}">${name}</a></body></html>`);
        else response.writeHead(404).end();
      });
      await new Promise<void>((resolve) => index.listen(0, '127.0.0.1', resolve));
    });
    afterAll(async () => {
      index.closeAllConnections();
      await new Promise((resolve) => index.close(resolve));
      await place.clear();
    });

    const setup = (extra: Record<string, string> = {}) =>
      place.start(['setup', '--no-cuda'], {
        POD_DIST_CACHE: place.path('cache'),
        PIP_CONFIG_FILE: '/dev/null',
        PIP_INDEX_URL: `http://127.0.0.1:${(index.address() as AddressInfo).port}/simple/`,
        ...extra,
      }).ended;
    const sha256 = createHash('sha256').update(wheel).digest('hex');
    const memory = basename(memoryAddonFile({}));
    const nothingBuilt = () =>
      expect(readdirSync(place.path('cache', 'native')).filter((file) => file !== memory)).toEqual([]);

    it.each([
      ['without checksum', () => ''],
      ['with the checksum of its file', () => `#sha256=${sha256}`],
      [
        "with the published file's checksum",
        () => `#sha256=${wheels.cpu.find(({ file }) => file === name)?.sha256}`,
      ],
    ])('%s ends with one line, and installs no TensorFlow', async (_what, makeFragment) => {
      fragment = makeFragment();
      const { code, stdout, stderr } = await setup();
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(/^pod-dist: [^\n]*not the[^\n]* publi[^\n]*\n$/),
      ]);
      expect(stdout).not.toContain('unpacking');
      nothingBuilt();
    });

    it('downloads nothing if there is too little room', async ({ skip }) => {
      const small = place.path('small');
      mkdirSync(small);
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', small], { stdio: 'ignore' });
      } catch {
        skip('no right to mount a file system');
      }
      try {
        fragment = '';
        const { code, stdout, stderr } = await setup({ POD_DIST_CACHE: small });
        expect([code, stderr]).toEqual([
          2,
          expect.stringMatching(
            /^pod-dist: [^\n]*native TensorFlow needs 1\.4 GB in [^\n]*where 0\.1 GB are free: make room, or set POD_DIST_CACHE[^\n]*\n$/,
          ),
        ]);
        expect(stdout).not.toContain('downloading');
      } finally {
        execFileSync('umount', [small]);
      }
    });

    it('rejects a manipulated wheel in a local folder', async () => {
      writeFileSync(place.path(name as string), wheel);
      const { code, stderr } = await setup({ PIP_NO_INDEX: '1', PIP_FIND_LINKS: place.path('.') });
      expect([code, stderr]).toEqual([1, expect.stringMatching(/\.whl is not the wheel that was published/)]);
      expect(existsSync(place.path('cache', 'native'))).toBe(true);
      nothingBuilt();
    });
  },
);
