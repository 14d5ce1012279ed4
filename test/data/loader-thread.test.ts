import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Packages that a bundle loads from node_modules. */
function packagesOf(bundle: string): string[] {
  const source = readFileSync(new URL(`../../dist/bundle/${bundle}.cjs`, import.meta.url), 'utf8');
  return [...source.matchAll(/(?:require|importOther)\(['"]([^'"]+)['"]\)/g)].map(([, name]) => name);
}

const tensorflow = /tensorflow/;

describe('a loader thread', () => {
  it('does not import TensorFlow, which a process must load only once', () => {
    expect(packagesOf('loader')).toContain('sharp');
    expect(packagesOf('loader').filter((name) => tensorflow.test(name))).toEqual([]);
    expect(packagesOf('main').some((name) => tensorflow.test(name))).toBe(true);
  });
});
