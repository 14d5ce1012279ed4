import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listRuns } from '../../src/record/run-list.js';
import { RunLock } from '../../src/record/run-lock.js';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(folder, name);
  mkdirSync(join(path, 'job'), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

const epochs = (...accuracies: number[]) =>
  accuracies
    .flatMap((evalAccuracy, epoch) => [
      '{"kind":"step","epoch":0,"step":0,"loss":1}',
      JSON.stringify({ kind: 'epoch', epoch, evalAccuracy, seconds: 2 }),
    ])
    .join('\n');

const report = (accuracy: number, epochs: number) =>
  JSON.stringify({ worldSize: 3, backend: 'wasm', epochs, evalAccuracy: accuracy, seconds: 9 });

const job = (kind: string) => {
  const group = { generation: 0, ranks: [], spares: [], workers: [], nextWorker: 0, term: 0 };
  const agent = { host: 'h', pid: 1, started: null, machine: 'm' };
  return JSON.stringify({ ...group, agent, ended: { code: 'UNEXPECTED', message: 'it broke', kind } });
};

describe('listRuns', () => {
  it('lists state and results of each run, differing settings, and broken folders', async () => {
    const config = (more: string) =>
      `name: a\nepochs: 2\nworkers: 2\nbackend: auto\nloss: {name: pod${more}}\n`;
    const whole = { 'config.yaml': config(', lambda: 1'), 'metrics.jsonl': `${epochs(0.5, 0.75)}\n` };
    const path = write('whole', { ...whole, 'report.json': report(0.7, 2) });
    utimesSync(join(path, 'config.yaml'), 1e9, 1e9);
    utimesSync(join(path, 'metrics.jsonl'), 1e9, 1e9);
    utimesSync(join(path, 'report.json'), 1e9, 1e9);
    const cut = `${epochs(0.8, 0.6)}\n{"kind":"epoch","epoch":2,"evalAcc`;
    write('sweep/cut', { 'config.yaml': config(', lambda: 2').replace('2', '9'), 'metrics.jsonl': cut });
    write('sweep/lost', { 'config.yaml': config(''), 'job/job.json': job('failure') });
    write('early', {
      'config.yaml': `${config(', lambda: 1').replace('epochs: 2', 'epochs: 9')}stop: {patience: 1}\n`,
      'metrics.jsonl': epochs(0.5),
      'report.json': report(0.5, 1),
    });
    const lock = await RunLock.take(write('held', { 'config.yaml': config(', lambda: 1') }), {});
    write('no-config', { 'metrics.jsonl': '' });
    write('broken', { 'config.yaml': 'a: [' });
    write('other', { 'notes.txt': 'nothing' });

    const { runs, differing, broken } = listRuns(folder);
    lock.release();
    const named = new Map(runs.map((run) => [run.name, run]));
    expect([...named.keys()]).toEqual(['early', 'held', 'sweep/cut', 'sweep/lost', 'whole']);
    expect(named.get('whole')).toMatchObject({
      ...{ state: 'finished', workers: 3, backend: 'wasm', epochs: 2, wantedEpochs: 2 },
      ...{ accuracy: 0.7, bestAccuracy: 0.75, seconds: 9, date: '2001-09-09T01:46:40.000Z' },
    });
    expect(named.get('sweep/cut')).toMatchObject({
      ...{ state: 'stopped', workers: 2, backend: 'auto', epochs: 2, wantedEpochs: 9 },
      ...{ accuracy: 0.6, bestAccuracy: 0.8, seconds: 4 },
    });
    expect(named.get('sweep/lost')).toMatchObject({ state: 'failed', epochs: 0, accuracy: undefined });
    expect(named.get('early')).toMatchObject({ state: 'finished', epochs: 1 });
    expect(named.get('held')?.state).toBe('running');
    expect(differing).toEqual(['loss.lambda', 'stop.patience']);
    expect(broken.map(({ folder: path }) => path)).toEqual([
      join(folder, 'broken'),
      join(folder, 'no-config'),
    ]);
    expect(broken[1].reason).toBe('it has no config.yaml');
  });

  it('rejects a missing folder', () => {
    expect(() => listRuns(join(folder, 'gone'))).toThrow('there is no folder');
  });
});
