import { homedir } from 'node:os';
import { join } from 'node:path';

/** The user's settings of pod-dist: `pod-dist` in XDG_CONFIG_HOME, else in `~/.config`. */
export function configFolder(environment: Readonly<Record<string, string | undefined>>): string {
  return join(environment.XDG_CONFIG_HOME || join(homedir(), '.config'), 'pod-dist');
}
