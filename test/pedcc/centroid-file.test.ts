import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { npyFile } from '../../launcher/npy.js';
import { readCentroidFile } from '../../src/pedcc/centroid-file.js';
import { needs } from '../needs.js';

const python = process.env.POD_DIST_PYTHON ?? 'python3';
const folder = mkdtempSync(join(tmpdir(), 'pod-dist-centroid-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'own.npy');
const rows = [0.6, 0.8, 0, 0, 0, -1];

function refused(bytes: Buffer, wanted = { classes: 2, dim: 3 }): () => unknown {
  writeFileSync(file, bytes);
  return () => readCentroidFile(file, wanted);
}

describe('readCentroidFile', () => {
  const matrix = (values: readonly number[], shape = [2, 3]) => npyFile(Float32Array.from(values), shape);

  it('reads a file with a unit vector for each class', () => {
    writeFileSync(file, matrix(rows));
    expect(readCentroidFile(file, { classes: 1, dim: 3 })).toEqual(Float32Array.from(rows));
  });

  it('rejects other files with the reason', () => {
    expect(refused(matrix(rows), { classes: 3, dim: 3 })).toThrow(/has 2 rows, the data set 3 classes/);
    expect(refused(matrix(rows), { classes: 2, dim: 4 })).toThrow(/has 3 columns, model\.dim is 4/);
    expect(refused(matrix(rows.with(1, NaN)))).toThrow(/has NaN in row 0, column 1/);
    expect(refused(matrix(rows.with(1, 0.9)))).toThrow(/has a row 0 of length 1\.0817: centroids are unit/);
    expect(refused(matrix(rows).subarray(0, -4))).toThrow(/ends early, or late/);
    expect(refused(matrix(rows, [6]))).toThrow(/holds no matrix of float32 or float64/);
    expect(refused(Buffer.from('nothing'))).toThrow(/is no \.npy file/);
  });

  const hasNumpy = spawnSync(python, ['-c', 'import numpy']).status === 0;
  it(
    'reads the file that centroids.py converts from a pickle; a malicious pickle runs nothing',
    needs('Python with numpy', hasNumpy),
    () => {
      const run = (...args: string[]) => spawnSync(python, args, { cwd: folder, encoding: 'utf8' });
      const script = fileURLToPath(new URL('../../examples/fine-tune/centroids.py', import.meta.url));
      const wrote = run(
        '-c',
        `import numpy as np, os, pickle
pickle.dump({1: np.array([[0, 0, -2.0]]), 0: np.array([[0.6, 0.8, 0]])}, open('own.pkl', 'wb'))
class Evil:
    def __reduce__(self):
        return os.system, ('touch evil-was-here',)
pickle.dump({0: Evil()}, open('evil.pkl', 'wb'))`,
      );
      expect(wrote.status, wrote.stderr).toBe(0);
      const made = run(script, 'own.pkl', 'own.npy');
      expect(made.stdout, made.stderr).toBe('own.npy: 2 centroids of 3 dimensions\n');
      expect(readCentroidFile(file, { classes: 2, dim: 3 })).toEqual(Float32Array.from(rows));
      const evil = run(script, 'evil.pkl', 'evil.npy');
      expect(evil.status).toBe(1);
      expect(evil.stderr).toMatch(/system is not allowed in a file of centroids/);
      expect(() => readFileSync(join(folder, 'evil-was-here'))).toThrow();
    },
  );
});
