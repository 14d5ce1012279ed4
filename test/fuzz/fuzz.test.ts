import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('../../dist/test/fuzz/main.js', import.meta.url));
/** Bounds for the inputs of each target: as many as a second allows. `npm run fuzz` makes more, with other seeds. */
const [fewest, most, seconds] = [5, 1000, 1];
const groups = [
  [
    'answer',
    'call',
    'feed',
    'control',
    'coordinator',
    'header',
    'manifest',
    'recipe',
    'place',
    'run-folder',
    'idx',
    'cifar',
    'shard',
    'image',
  ],
  ['tar', 'tar.gz', 'zip'],
];

describe('hostile inputs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(groups)(
    'are read or rejected: %s ...',
    async (...targets) => {
      const bounds = ['--runs', String(most), '--seconds', String(seconds)];
      const args = [...bounds, ...targets.flatMap((target) => ['--target', target])];
      const child = spawn(process.execPath, [program, ...args], {
        env: { ...process.env, TMPDIR: folder },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [output, errors] = [text(child.stdout), text(child.stderr)];
      const [code] = (await once(child, 'close')) as [number];
      expect(code, `${await output}${await errors}`).toBe(0);
      for (const target of targets) {
        const line = (await output).split('\n').find((each) => each.startsWith(`${target}: `)) ?? '';
        const counts = [...line.matchAll(/(\d+) (?:read|[A-Z_]+)\b/g)].map(([, count]) => Number(count));
        expect(
          counts.reduce((sum, count) => sum + count, 0),
          line,
        ).toBeGreaterThanOrEqual(fewest);
      }
      expect(readdirSync(folder).filter((name) => !name.startsWith('node-compile-cache'))).toEqual([]);
    },
    240_000,
  );
});
