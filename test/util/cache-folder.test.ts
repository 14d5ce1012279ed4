import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cacheFolder } from '../../src/util/cache-folder.js';

describe('cacheFolder', () => {
  it('gives POD_DIST_CACHE, else a folder in XDG_CACHE_HOME, else in the home folder', () => {
    expect(cacheFolder({ POD_DIST_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(cacheFolder({ XDG_CACHE_HOME: '/b' })).toBe('/b/pod-dist');
    expect(cacheFolder({ POD_DIST_CACHE: '', XDG_CACHE_HOME: '' })).toBe(
      join(homedir(), '.cache', 'pod-dist'),
    );
  });
});
