import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where pod-dist keeps what it need not make twice: `POD_DIST_CACHE`, else `pod-dist` in the user's cache folder. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment.XDG_CACHE_HOME || join(homedir(), '.cache');
  return environment.POD_DIST_CACHE || join(base, 'pod-dist');
}
