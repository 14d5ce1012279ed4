import { homedir } from 'node:os';
import { join } from 'node:path';

/** The cache folder of pod-dist: `POD_DIST_CACHE`, else `pod-dist` in the user's cache folder. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment.XDG_CACHE_HOME || join(homedir(), '.cache');
  return environment.POD_DIST_CACHE || join(base, 'pod-dist');
}
