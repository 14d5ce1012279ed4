import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { UserError } from '../../util/errors.js';
import { makeFolder } from '../../util/make-folder.js';
import { configFolder } from './config-folder.js';
import { readOwn } from './read-secret.js';

/** Advice for hosts that share no folder. */
export const giveToken =
  'set POD_DIST_TOKEN to the same secret on every host, such as the output of: openssl rand -hex 32; or POD_DIST_TOKEN_FILE to a file that holds it';

const nameOf = /^[0-9a-f]{32}\.secret$/;
const forgottenMs = 7 * 24 * 3600 * 1000;

/**
 * The secret that rank 0 makes for a job whose user has given none, in a file that the other ranks find: in the user's
 * home, which hosts of a cluster share, or, where that cannot be written, in the temporary folder of the host.
 *
 * The folder and the file are this user's alone. The file is named after the job and is there from the moment at which
 * the coordinator listens until all ranks have joined. One that a killed job has left is no harm: a rank tries a secret
 * at the coordinator before it uses it, and looks again until one fits.
 */
export class PublishedSecret {
  private constructor(private readonly file: string) {}

  /** Undefined where no folder can be used. */
  static publish(
    job: string,
    secret: string,
    folders: readonly string[] = secretFolders(),
  ): PublishedSecret | undefined {
    for (const folder of folders) {
      try {
        makePrivate(folder);
        removeForgotten(folder);
        const file = fileOf(folder, job);
        writeFileAtomicSync(file, `${secret}\n`, { mode: 0o600 });
        return new PublishedSecret(file);
      } catch {
        continue;
      }
    }
    return undefined;
  }

  /** Safe to call twice. */
  remove(): void {
    try {
      rmSync(this.file, { force: true });
    } catch {
      return;
    }
  }
}

/** Secrets that have been published for a job, those that cannot be used left out. */
export function publishedSecrets(job: string, folders: readonly string[] = secretFolders()): string[] {
  return folders.flatMap((folder) => {
    try {
      if (!isPrivate(folder)) return [];
      return readOwn(fileOf(folder, job)) ?? [];
    } catch {
      return [];
    }
  });
}

/** Folders in which secrets are looked for and published, in this order. */
export function secretFolders(environment: NodeJS.ProcessEnv = process.env): string[] {
  return [
    join(configFolder(environment), 'jobs'),
    join(tmpdir(), `pod-dist-jobs-${process.getuid?.() ?? 'user'}`),
  ];
}

/** The error of rank 0 if it can publish its secret nowhere. */
export function noPlaceForSecret(): UserError {
  return new UserError(
    'ENVIRONMENT_INVALID',
    `the other ranks need the job's secret, and neither ${secretFolders().join(' nor ')} can be written: ${giveToken}`,
  );
}

function fileOf(folder: string, job: string): string {
  return join(folder, `${createHash('sha256').update(job).digest('hex').slice(0, 32)}.secret`);
}

/** Makes the folder, for this user alone. Throws where it is a link, no folder or another user's. */
function makePrivate(folder: string): void {
  makeFolder(folder, 0o700);
  if (isPrivate(folder)) return;
  const { uid } = lstatSync(folder);
  if (uid === process.getuid?.() && lstatSync(folder).isDirectory()) chmodSync(folder, 0o700);
  if (!isPrivate(folder)) throw new Error(`${folder} is not this user's alone`);
}

function isPrivate(folder: string): boolean {
  const stats = lstatSync(folder);
  if (!stats.isDirectory()) return false;
  return !process.getuid || (stats.uid === process.getuid() && (stats.mode & 0o077) === 0);
}

function removeForgotten(folder: string): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (nameOf.test(name) && Date.now() - statSync(file).mtimeMs > forgottenMs) rmSync(file, { force: true });
  }
}
