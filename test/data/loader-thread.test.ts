import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** Modules that a built file imports, directly or through others of ours; packages by their names. */
function importsOf(url: URL, found = new Set<string>()): Set<string> {
  if (found.has(url.href)) return found;
  found.add(url.href);
  const source = readFileSync(fileURLToPath(url), 'utf8');
  for (const [, name] of source.matchAll(/(?:from|import|import\()\s*['"]([^'"]+)['"]/g)) {
    if (name.startsWith('.')) importsOf(new URL(name, url), found);
    else found.add(name);
  }
  return found;
}

const built = (path: string) => new URL(`../../dist/src/${path}`, import.meta.url);
const tensorflow = /tensorflow|src\/backend/;

describe('a loader thread', () => {
  it('never imports TensorFlow, which must not be loaded twice in a process', () => {
    const modules = [...importsOf(built('data/loader-thread.js'))];
    expect(modules).toContain('sharp');
    expect(modules.filter((name) => tensorflow.test(name))).toEqual([]);
    expect([...importsOf(built('training/train.js'))].some((name) => tensorflow.test(name))).toBe(true);
  });
});
