import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ShapedLink } from '../../src/bench/link.js';
import { needs } from '../needs.js';

const script = fileURLToPath(new URL('../../dist/benchmarks/overlap.js', import.meta.url));

/** Whether this user can create a shaped link on this machine. */
function canShape(): boolean {
  try {
    ShapedLink.create(2, '1gbit').close();
    return true;
  } catch {
    return false;
  }
}

describe('steps over a slow link', () => {
  it(
    'hide the gathering of weights in several buckets, and nothing in one bucket',
    { ...needs('network namespaces', canShape()), timeout: 180_000 },
    async () => {
      const model = ['--model', 'resnet20', '--backend', 'wasm', '--batch', '16', '--statistics', 'local'];
      const settings = ['--link', '33mbit', '--buckets', 'default,1GB', '--rounds', '1', '--steps', '3'];
      const { stdout } = await promisify(execFile)(process.execPath, [script, ...model, ...settings]);
      const [names, , ...rows] = stdout
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .map((line) => line.split('|').map((cell) => cell.trim()));
      const [buckets, one] = rows.map((row) => {
        const of = (name: string) => Number.parseFloat(row[names.indexOf(name)]);
        return { exposed: of('exposed'), allGather: of('allGather'), reduceScatter: of('reduceScatter') };
      });
      expect(one.exposed).toBeGreaterThan(0.9 * (one.allGather + one.reduceScatter));
      expect(buckets.allGather).toBeGreaterThan(50);
      expect(buckets.exposed).toBeLessThan(buckets.allGather + 0.1 * buckets.reduceScatter);
      expect(buckets.exposed).toBeLessThan(0.75 * one.exposed);
    },
  );
});
