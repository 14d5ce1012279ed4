import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Packages that a bundle takes from node_modules. */
function packagesOf(bundle: string): string[] {
  const source = readFileSync(new URL(`../../dist/bundle/${bundle}.cjs`, import.meta.url), 'utf8');
  return [...source.matchAll(/(?:require|importOther)\(['"]([^'"]+)['"]\)/g)].map(([, name]) => name);
}

const tensorflow = /tensorflow/;

describe('a loader thread', () => {
  it('never imports TensorFlow, which must not be loaded twice in a process', () => {
    expect(packagesOf('loader')).toContain('sharp');
    expect(packagesOf('loader').filter((name) => tensorflow.test(name))).toEqual([]);
    expect(packagesOf('main').some((name) => tensorflow.test(name))).toBe(true);
  });
});
