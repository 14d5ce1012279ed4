import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const cli = fileURLToPath(new URL('../../dist/launcher/cli.js', import.meta.url));

interface Findings {
  cores: number;
  ipc: { ok: boolean };
  zeromq: { ok: boolean; version: string };
  sharp: { ok: boolean };
  backends: { name: string; usable: boolean; reason?: string; gflops?: number; imagesPerSecond?: number }[];
  advice: string[];
}

describe('pod-dist doctor', () => {
  let cache: string;
  beforeEach(() => void (cache = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
  afterEach(() => rmSync(cache, { recursive: true }));

  it('measures the usable backends, and advises about the others', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [cli, 'doctor', '--json'], {
      env: { ...process.env, POD_DIST_CACHE: cache },
      timeout: 110_000,
    });
    const findings = JSON.parse(stdout) as Findings;
    expect(findings.cores).toBeGreaterThan(0);
    expect(findings.zeromq).toEqual({ ok: true, version: expect.stringMatching(/^6\.8\.0 \(libzmq 4\./) });
    expect([findings.ipc.ok, findings.sharp.ok]).toEqual([true, true]);
    const byName = new Map(findings.backends.map((backend) => [backend.name, backend]));
    expect(byName.get('native')).toMatchObject({
      usable: false,
      reason: expect.stringContaining('pod-dist setup'),
    });
    expect(findings.advice[0]).toContain('pod-dist setup');
    const speed = (name: string) => byName.get(name)?.imagesPerSecond ?? 0;
    expect(speed('wasm')).toBeGreaterThan(speed('cpu'));
    expect(speed('cpu')).toBeGreaterThan(0);
    expect(byName.get('wasm')?.gflops).toBeGreaterThan(byName.get('cpu')?.gflops as number);
  }, 120_000);
});
