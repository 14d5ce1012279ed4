import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkCentroidFile, writeCentroids } from '../../launcher/centroid-file.js';
import { UserError } from '../../src/util/errors.js';
import { generateCentroids } from '../../src/pedcc/index.js';
import { needs } from '../needs.js';

const [classes, dim, seed] = [7, 12, 3];
const { values } = generateCentroids({ classes, dim, seed });

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string): string {
  const file = join(folder, name);
  checkCentroidFile(file);
  writeCentroids(file, { classes, dim, seed, values });
  expect(readdirSync(folder)).toEqual([name]);
  return file;
}

/** Header and float32 values of an .npy file; the header must have the format of numpy.lib.format. */
function readNpy(bytes: Buffer): { header: string; values: Float32Array } {
  expect(bytes.subarray(0, 8)).toEqual(Buffer.from('\x93NUMPY\x01\x00', 'latin1'));
  const length = bytes.readUInt16LE(8);
  expect((10 + length) % 64).toBe(0);
  const header = bytes.subarray(10, 10 + length).toString('latin1');
  const data = Uint8Array.from(bytes.subarray(10 + length));
  return { header, values: new Float32Array(data.buffer) };
}

const hasNumpy = (() => {
  try {
    execFileSync('python3', ['-c', 'import numpy'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe('writeCentroids', () => {
  it('writes .npy: magic, padded header, values', () => {
    const found = readNpy(readFileSync(write('c.npy')));
    expect(found.header).toMatch(/^\{'descr': '<f4', 'fortran_order': False, 'shape': \(7, 12\), \} *\n$/);
    expect(found.values).toEqual(values);
  });

  it('writes .npy that NumPy reads', needs('NumPy', hasNumpy), () => {
    const script =
      'import numpy, sys, json; a = numpy.load(sys.argv[1]); print(json.dumps([a.shape, str(a.dtype), a.ravel().tolist()]))';
    const [shape, type, numbers] = JSON.parse(
      execFileSync('python3', ['-c', script, write('c.npy')], { encoding: 'utf8' }),
    ) as [number[], string, number[]];
    expect([shape, type]).toEqual([[7, 12], 'float32']);
    expect(Float32Array.from(numbers)).toEqual(values);
  });

  it('writes .json with classes, dim, seed and values', () => {
    const found = JSON.parse(readFileSync(write('c.json'), 'utf8')) as { values: number[] };
    expect(found).toMatchObject({ classes, dim, seed });
    expect(Float32Array.from(found.values)).toEqual(values);
  });

  it('writes .bin: only the bytes of the values', () => {
    const bytes = Uint8Array.from(readFileSync(write('c.bin')));
    expect(new Float32Array(bytes.buffer)).toEqual(values);
  });

  it('writes a view of a larger buffer', () => {
    const file = join(folder, 'part.bin');
    writeCentroids(file, { classes: 1, dim, seed, values: values.subarray(dim, 2 * dim) });
    expect(new Float32Array(Uint8Array.from(readFileSync(file)).buffer)).toEqual(values.slice(dim, 2 * dim));
  });
});

describe('checkCentroidFile', () => {
  it.each(['c.txt', 'c', 'c.npz', 'c.NPY2', 'c.constructor'])('rejects the ending of %s', (name) => {
    const check = () => checkCentroidFile(join(folder, name));
    expect(check).toThrow(UserError);
    expect(check).toThrow(/end the name in \.npy/);
  });

  it('rejects a missing folder', () => {
    expect(() => checkCentroidFile(join(folder, 'nowhere', 'c.npy'))).toThrow(/there is no folder/);
  });
});
