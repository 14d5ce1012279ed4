import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fingerprint, generateCentroids } from '../../src/pedcc/index.js';

describe('fingerprint', () => {
  it('is the SHA-256 of the little-endian bytes of an array or view', () => {
    const bytes = Buffer.alloc(8);
    bytes.writeFloatLE(1.5, 0);
    bytes.writeFloatLE(-2, 4);
    const wanted = createHash('sha256').update(bytes).digest('hex');
    expect(fingerprint(Float32Array.of(1.5, -2))).toBe(wanted);
    expect(fingerprint(Float32Array.of(9, 1.5, -2, 9).subarray(1, 3))).toBe(wanted);
  });

  it('differs for the smallest change of a value', () => {
    const { values } = generateCentroids({ classes: 10, dim: 16, seed: 1 });
    const changed = values.slice();
    changed[7] += 2 ** -24;
    expect(changed[7]).not.toBe(values[7]);
    expect(fingerprint(changed)).not.toBe(fingerprint(values));
  });

  it.each([
    [10, 64],
    [40, 32],
    [60, 10],
  ])('of (%i, %i) centroids is equal in another process', (classes, dim) => {
    const module = fileURLToPath(new URL('../../dist/src/pedcc/index.js', import.meta.url));
    const script = `import { fingerprint, generateCentroids } from ${JSON.stringify(module)};
      process.stdout.write(fingerprint(generateCentroids({ classes: ${classes}, dim: ${dim}, seed: 3 }).values));`;
    const other = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
      encoding: 'utf8',
    });
    expect(other).toBe(fingerprint(generateCentroids({ classes, dim, seed: 3 }).values));
  });
});
