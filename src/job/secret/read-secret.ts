import { randomBytes } from 'node:crypto';
import { closeSync, constants, readFileSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../util/errors.js';
import { openRegular, reasonOf } from '../../util/regular-file.js';
import { configFolder } from './config-folder.js';

/** Environment variables that may give a job's secret, or a file of it. */
export const secretVariables = { token: 'POD_DIST_TOKEN', file: 'POD_DIST_TOKEN_FILE' } as const;

/** Characters of a secret, at least: a shorter one could be guessed from a recorded connection. */
const fewestCharacters = 16;
const mostBytes = 65_536;
const advice = 'such as the output of: openssl rand -hex 32';

type Environment = Readonly<Record<string, string | undefined>>;

export function newSecret(): string {
  return randomBytes(32).toString('hex');
}

/**
 * The job's secret as the user has given it: in `POD_DIST_TOKEN`, in the file that `POD_DIST_TOKEN_FILE` names, or in
 * `~/.config/pod-dist/token`. Undefined where there is none of these.
 *
 * @throws UserError for a secret that is too short, and for a file that others may read or replace
 */
export function givenSecret(environment: Environment): string | undefined {
  const { token, file } = secretVariables;
  if (environment[token]) return longEnough(environment[token], token);
  if (environment[file])
    return longEnough(readNamed(environment[file]), `the secret in ${environment[file]}`);
  const own = join(configFolder(environment), 'token');
  const text = readOwn(own);
  return text === undefined ? undefined : longEnough(text, `the secret in ${own}`);
}

/** A file that must be this user's alone, and no link; undefined where there is none. */
export function readOwn(file: string): string | undefined {
  return read(file, constants.O_NOFOLLOW ?? 0, ({ mode, uid }) => {
    if (uid !== process.getuid?.()) return 'it belongs to another user';
    if ((mode & 0o077) !== 0) return 'others may use it: chmod 600';
    return undefined;
  });
}

/** A file that the user names: links are followed, since a mounted secret of Kubernetes is one, and root may own it. */
function readNamed(file: string): string {
  const text = read(file, 0, ({ mode, uid }) => {
    if (uid !== process.getuid?.() && uid !== 0) return 'it belongs to another user';
    if ((mode & 0o022) !== 0) return 'others may write to it: chmod 600';
    if ((mode & 0o004) !== 0)
      return 'everybody may read it: chmod 600, or defaultMode: 0440 of a mounted secret';
    if ((mode & 0o040) !== 0 && uid !== 0) return 'its group may read it: chmod 600';
    return undefined;
  });
  if (text === undefined) throw unusable(file, 'it does not exist');
  return text;
}

function read(
  file: string,
  flags: number,
  objection: (stats: Stats) => string | undefined,
): string | undefined {
  let opened: ReturnType<typeof openRegular>;
  try {
    opened = openRegular(file, constants.O_RDONLY | flags);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw unusable(file, code === 'ELOOP' ? 'it is a link' : reasonOf(error));
  }
  const { descriptor, stats } = opened;
  try {
    const reason = process.getuid ? objection(stats) : undefined;
    if (reason) throw unusable(file, reason);
    if (stats.size > mostBytes) throw unusable(file, `it has ${stats.size} bytes`);
    return readFileSync(descriptor, 'utf8').trim();
  } finally {
    closeSync(descriptor);
  }
}

function unusable(file: string, reason: string): UserError {
  return new UserError('FILE_UNUSABLE', `the secret in ${file} is not used: ${reason}`);
}

function longEnough(secret: string, what: string): string {
  if (secret.length >= fewestCharacters) return secret;
  throw new UserError(
    'ENVIRONMENT_INVALID',
    `${what} has ${secret.length} characters: give at least ${fewestCharacters}, ${advice}`,
  );
}
