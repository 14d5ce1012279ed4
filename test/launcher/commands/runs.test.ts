import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Workplace } from '../../integration/command.js';

describe('pod-dist runs', () => {
  let place: Workplace;
  beforeAll(() => {
    place = new Workplace();
    for (let run = 0; run < 400; run++)
      write(`runs/r${run}/config.yaml`, `epochs: 1\nworkers: 1\nseed: ${run}\nnote: ${'x'.repeat(300)}\n`);
    for (const [run, accuracy] of [0.25, 0.75, 0.5].entries()) {
      const line = { kind: 'epoch', epoch: 0, evalAccuracy: accuracy, seconds: 60 };
      write(`runs/r${run}/metrics.jsonl`, `${JSON.stringify(line)}\n`);
    }
    write('runs/broken/metrics.jsonl', '');
  });
  afterAll(() => place.clear());

  function write(file: string, text: string): void {
    mkdirSync(dirname(place.path(file)), { recursive: true });
    writeFileSync(place.path(file), text);
  }

  it('prints a sorted table, and lists the folders that it leaves out', async () => {
    const { code, stdout, stderr } = await place.ask('runs', '--sort', 'accuracy');
    expect(code).toBe(0);
    const [head, ...rows] = stdout.trimEnd().split('\n');
    expect(head).toMatch(/^run +date +state +workers +backend +epochs +accuracy +best +time +seed$/);
    expect(rows).toHaveLength(400);
    expect(rows[0]).toMatch(/^r1 +\d{4}-\d\d-\d\d \d\d:\d\d +stopped +1 +1 +75\.00 % +75\.00 % +1 min +1$/);
    expect(rows.slice(1, 3).map((row) => row.split(' ')[0])).toEqual(['r2', 'r0']);
    expect(stderr).toBe('left out: runs/broken (it has no config.yaml)\n');
  });

  it('writes long JSON completely into a pipe', async () => {
    const { code, stdout } = await place.run('runs', 'runs', '--json', '--sort', 'name');
    expect(code).toBe(0);
    expect(stdout.length).toBeGreaterThan(150_000);
    const { runs, differing } = JSON.parse(stdout) as { runs: { name: string }[]; differing: string[] };
    expect(runs.slice(0, 3).map(({ name }) => name)).toEqual(['r0', 'r1', 'r2']);
    expect(runs).toHaveLength(400);
    expect(differing).toEqual(['seed']);
  });
});
