import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reportPage } from '../../src/report/page.js';
import { readRuns } from '../../src/report/run.js';
import { stepCurve } from '../../src/report/series.js';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a run folder with these files. */
function write(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

const step = (index: number, more: object = {}) =>
  JSON.stringify({
    kind: 'step',
    epoch: Math.floor(index / 4),
    step: index,
    loss: index,
    delta: 0.05,
    lr: 0.1,
    samplesPerSecond: 100,
    ...more,
  });

describe('readRuns', () => {
  it('reads settings by path and complete lines, and lists gaps', () => {
    const [run] = readRuns([
      write('part', {
        'config.yaml': 'epochs: 2\nloss: {name: pod, delta: {initial: 0.05}}\n',
        'metrics.jsonl': `${step(0)}\n${step(1)}\n{"kind":"step","epoch":0,"st`,
      }),
    ]);
    expect(run.name).toBe('part');
    expect(run.settings.get('loss.delta.initial')).toBe(0.05);
    expect(run.steps).toHaveLength(2);
    expect(run.gaps).toEqual([
      expect.stringMatching(/^metrics\.jsonl has 1 line that cannot be read/),
      expect.stringMatching(/^report\.json is missing/),
      expect.stringMatching(/^evaluation\.json is missing: pod-dist evaluate /),
    ]);
  });

  it('lists broken files as gaps, and reads the others', () => {
    const [run] = readRuns([
      write('broken', {
        'config.yaml': 'a: [',
        'metrics.jsonl': '',
        'report.json': '{}',
        'evaluation.json': 'no',
      }),
    ]);
    expect(run.gaps).toHaveLength(4);
    expect(run.gaps[0]).toMatch(
      /^config\.yaml is not what pod-dist writes \(.*\): the settings are not shown$/,
    );
    expect(reportPage([run])).toContain('report.json is not what pod-dist writes');
  });

  it('names runs by path if their names are equal', () => {
    const folders = ['a/run', 'b/run'].map((name) => write(name, { 'metrics.jsonl': step(0) }));
    expect(readRuns(folders).map(({ name }) => name)).toEqual(folders);
  });

  it.each([
    ['missing', 'there is no run folder'],
    ['file', 'there is no run folder'],
    ['other', 'is no run folder'],
  ])('rejects the folder %s', (name, message) => {
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'other'), { recursive: true });
    expect(() => readRuns([join(folder, name)])).toThrow(message);
  });
});

describe('reportPage', () => {
  it('escapes HTML in names and settings', () => {
    const name = '<script>alert(1)</script>';
    const [run] = readRuns([
      write('plain', { 'metrics.jsonl': `${step(0)}\n${step(1)}\n`, 'config.yaml': 'a: "</script>"\n' }),
    ]);
    const page = reportPage([
      { ...run, name },
      { ...run, name: 'other', settings: new Map([['a', name]]) },
    ]);
    expect(page).not.toContain(name);
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).toContain('\\u003cscript>alert(1)');
  });

  it('gives the same page for the same runs', () => {
    const folders = [join(folder, 'plain')];
    expect(reportPage(readRuns(folders))).toBe(reportPage(readRuns(folders)));
  });
});

describe('stepCurve', () => {
  it('gives points by epoch, and averages neighbours of a long run', () => {
    const lines = (count: number) => Array.from({ length: count }, (_, index) => step(index)).join('\n');
    const [short, long] = readRuns([
      write('short', { 'metrics.jsonl': lines(8) }),
      write('long', { 'metrics.jsonl': lines(1999) }),
    ]);
    expect(stepCurve(short, 'loss')).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((at) => [(at + 1) / 4, at]));
    const curve = stepCurve(long, 'loss');
    expect(curve).toHaveLength(500);
    expect(curve[1]).toEqual([1.625, 5.5]);
    expect(stepCurve(short, 'nac')).toEqual([]);
  });
});
