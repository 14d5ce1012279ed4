import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { layerSizes } from '../../src/bench/layer-sizes.js';
import { needs } from '../needs.js';

const overlap = fileURLToPath(new URL('../../dist/benchmarks/overlap.js', import.meta.url));
const cli = fileURLToPath(new URL('../../dist/launcher/cli.js', import.meta.url));

async function bench(...args: string[]): Promise<Record<string, number | string | boolean>[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [cli, 'bench', ...args, '--json']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number>);
}

/** Whether this machine can create network namespaces and shape traffic. */
function canShape(): boolean {
  try {
    execFileSync('ip', ['netns', 'add', 'pod-dist-probe'], { stdio: 'ignore' });
    execFileSync('ip', ['netns', 'del', 'pod-dist-probe'], { stdio: 'ignore' });
    execFileSync('tc', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Output of a search; `none` if it finds nothing. */
function attempt(search: () => Buffer): string {
  try {
    return search().toString();
  } catch {
    return 'none';
  }
}

/** Names of namespaces of shaped links, which differ from those of other tests. */
const ofLinks = /^pod-dist-\d+-/m;

function namespaces(): string {
  return execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
}

describe('pod-dist bench', () => {
  it('allreduce measures all-reduces without wrong elements, and writes an SVG', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    const svg = join(folder, 'plot.svg');
    const rows = await bench('allreduce', '-n', '3', '--sizes', '4KB,2MB', '--rounds', '1', '--svg', svg);
    expect(rows.map(({ bytes, errors, workers }) => [bytes, errors, workers])).toEqual([
      [4000, 0, 3],
      [2_000_000, 0, 3],
    ]);
    for (const { bytes, medianMs, minMs, algorithmGBps, busGBps, peer } of rows as Record<string, number>[]) {
      expect(minMs).toBeGreaterThan(0);
      expect(medianMs).toBeGreaterThanOrEqual(minMs);
      expect(algorithmGBps).toBeCloseTo(bytes / medianMs / 1e6, 9);
      expect(busGBps / algorithmGBps).toBeCloseTo(4 / 3, 9);
      expect(peer).toBeUndefined();
    }
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg[\s\S]*pod-dist ipc[\s\S]*<\/svg>/);
    rmSync(folder, { recursive: true });
  });

  it('scaling measures steps, and predicts them for up to 1,024 workers', async () => {
    const flags = ['--model', 'resnet20', '--workers', '1,2', '--compute', '20', '--steps', '3'];
    const rows = (await bench('scaling', ...flags)).filter(({ scaling }) => scaling === 'weak');
    const measured = rows.filter(({ predicted }) => predicted === false) as Record<string, number>[];
    expect(measured.map(({ workers, overlap }) => [workers, overlap])).toEqual([
      [1, false],
      [2, false],
      [2, true],
    ]);
    for (const { stepMs, computeMs } of measured) expect(stepMs).toBeGreaterThanOrEqual(computeMs);
    const predicted = rows.filter((row) => row.predicted === true).map(({ workers }) => workers);
    expect(Math.max(...(predicted as number[]))).toBe(1024);
  });

  it('allreduce rejects an invalid size in one line', async () => {
    await expect(bench('allreduce', '--sizes', '10 potatoes')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^pod-dist: 10 potatoes is no size.*\n$/) as string,
    });
  });

  it(
    'scaling does not exceed the rate of a shaped link, and removes its namespaces',
    needs('network namespaces', canShape()),
    async () => {
      const flags = ['--model', 'resnet20', '--workers', '2', '--compute', '1', '--steps', '1'];
      const rows = await bench('scaling', ...flags, '--link', '100mbit');
      const model = 4 * layerSizes.resnet20.reduce((sum, size) => sum + size);
      const whole = rows.find(({ bytes, lineRate }) => lineRate !== undefined && bytes === model);
      expect(whole?.lineRate).toBeGreaterThan(0.1);
      expect(whole?.lineRate).toBeLessThan(1.25);
      expect(namespaces()).not.toMatch(ofLinks);
    },
  );

  it(
    'hierarchy.js compares flat with hierarchical all-reduces between hosts',
    needs('network namespaces', canShape()),
    async () => {
      const script = fileURLToPath(new URL('../../dist/benchmarks/hierarchy.js', import.meta.url));
      const flags = ['--link', '100mbit', '--sizes', '200KB', '--rounds', '1'];
      const { stdout } = await promisify(execFile)(process.execPath, [script, ...flags]);
      const rows = stdout.trim().split('\n').slice(1);
      expect(
        rows.map((row) =>
          row
            .split(/\s{2,}/)
            .slice(1, 3)
            .join(' '),
        ),
      ).toEqual(['float32 flat', 'float32 hierarchical', 'bf16 flat', 'bf16 hierarchical']);
      expect(namespaces()).not.toMatch(ofLinks);
    },
  );

  it(
    'scaling measures one worker per host behind a delay',
    needs('network namespaces', canShape()),
    async () => {
      const flags = '--hosts 2 --delay 4ms --rate 1gbit --model resnet20 --sizes 4KB --compute 1 --steps 1';
      const rows = await bench('scaling', ...flags.split(' '), '--set', 'algorithm=ring');
      expect(rows.map(({ what, algorithm, inFlight }) => [what, algorithm, inFlight])).toEqual([
        ['all-reduce', 'ring', undefined],
        ['step', 'ring', 3],
      ]);
      for (const { medianMs, predictedMs } of rows as Record<string, number>[]) {
        expect(medianMs).toBeGreaterThan(8);
        expect(predictedMs).toBeGreaterThan(8);
      }
      expect(namespaces()).not.toMatch(ofLinks);
    },
  );

  it.each([
    ['--hosts 3', /^pod-dist: --hosts 3: give powers of two .*\n$/],
    ['--hosts 2 --delay soon', /^pod-dist: --delay soon: give a time .*\n$/],
    ['--delay 1ms', /^pod-dist: --delay and --rate go with --hosts .*\n$/],
  ])('scaling rejects %s in one line', async (flags, line) => {
    const refused = { code: 2, stderr: expect.stringMatching(line) as string };
    await expect(bench('scaling', ...flags.split(' '))).rejects.toMatchObject(refused);
  });

  it(
    'scaling removes its link and ranks when it is stopped',
    needs('network namespaces', canShape()),
    async () => {
      const child = spawn(process.execPath, [cli, 'bench', 'scaling', '--workers', '2', '--link', '1gbit']);
      const own = `pod-dist-${child.pid}-1`;
      await expect.poll(namespaces, { timeout: 20_000 }).toContain(own);
      child.kill('SIGTERM');
      const [code] = (await once(child, 'exit')) as [number | null];
      expect(code).toBe(143);
      expect(namespaces()).not.toContain(`pod-dist-${child.pid}`);
      const ranks = () =>
        execFileSync('pgrep', ['-f', `dist/src/bench/rank.js .*10.213.${Number(child.pid) % 250}\\.`]);
      await expect.poll(() => attempt(ranks), { timeout: 5000 }).toBe('none');
    },
  );

  it('overlap.js measures the parts of training steps by bucket size', async () => {
    const flags = '--backend wasm --model small-cnn --batch 8 --steps 3 --rounds 1 --buckets 64KB,1GB';
    const { stdout } = await promisify(execFile)(process.execPath, [overlap, ...flags.split(' ')]);
    const rows = stdout.trim().split('\n').slice(3);
    expect(rows.map((row) => row.split(' | ')[0])).toEqual(['| 64 KB', '| 1 GB']);
    for (const row of rows) {
      const [step, compute, reduceScatter, allGather] = row.split(' | ').slice(3, 7).map(Number);
      expect(compute).toBeGreaterThan(0);
      expect(step).toBeGreaterThanOrEqual(compute);
      expect(reduceScatter + allGather).toBeGreaterThan(0);
    }
  });
});
