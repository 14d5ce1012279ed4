import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const garbage = new URL('../../dist/src/util/garbage.js', import.meta.url).href;

describe('collectGarbageRarely', () => {
  it('sets flags that this version of Node.js accepts', () => {
    const program = `(await import('${garbage}')).collectGarbageRarely(); console.log('set');`;
    const ended = spawnSync(process.execPath, ['--input-type=module', '-e', program]);
    expect(ended.stderr.toString()).toBe('');
    expect(ended.stdout.toString()).toBe('set\n');
  });
});
