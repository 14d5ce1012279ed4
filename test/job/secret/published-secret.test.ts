import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PublishedSecret, publishedSecrets } from '../../../src/job/secret/published-secret.js';

let base: string;
let folders: string[];
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'pod-dist-secret-'));
  folders = [join(base, 'home', 'pod-dist', 'jobs'), join(base, 'tmp')];
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

describe('a published secret', () => {
  it('is found by the name of its job until it is removed, and only this user can read it', () => {
    const published = PublishedSecret.publish('job a', 'secret of job a', folders);
    PublishedSecret.publish('job b', 'secret of job b', folders);
    expect(publishedSecrets('job a', folders)).toEqual(['secret of job a']);
    expect(lstatSync(folders[0]).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folders[0]))
      expect(lstatSync(join(folders[0], name)).mode & 0o777).toBe(0o600);
    published?.remove();
    published?.remove();
    expect(publishedSecrets('job a', folders)).toEqual([]);
    expect(publishedSecrets('job b', folders)).toEqual(['secret of job b']);
  });

  it('replaces the secret that a killed job has left', () => {
    PublishedSecret.publish('job', 'old secret', folders);
    PublishedSecret.publish('job', 'new secret', folders);
    expect(publishedSecrets('job', folders)).toEqual(['new secret']);
  });

  it('goes to the second folder if the first cannot be written, and is searched in both', () => {
    writeFileSync(join(base, 'home'), '');
    expect(PublishedSecret.publish('job', 'a secret', folders)).toBeDefined();
    expect(publishedSecrets('job', folders)).toEqual(['a secret']);
    expect(existsSync(folders[1])).toBe(true);
    writeFileSync(join(base, 'file'), '');
    expect(PublishedSecret.publish('job', 'a secret', [join(base, 'file', 'x')])).toBeUndefined();
  });

  it('is neither written to nor read from a folder open to others or a link', () => {
    mkdirSync(join(base, 'open'));
    PublishedSecret.publish('job', 'a secret', [join(base, 'open')]);
    expect(lstatSync(join(base, 'open')).mode & 0o077).toBe(0);
    chmodSync(join(base, 'open'), 0o770);
    expect(publishedSecrets('job', [join(base, 'open')])).toEqual([]);
    symlinkSync(join(base, 'open'), join(base, 'link'));
    expect(PublishedSecret.publish('job', 'a secret', [join(base, 'link')])).toBeUndefined();
  });

  it('is deleted after a week, and other files are kept', () => {
    PublishedSecret.publish('old job', 'a secret', folders);
    const [old] = readdirSync(folders[0]);
    writeFileSync(join(folders[0], 'notes.txt'), 'mine');
    const longAgo = new Date(Date.now() - 8 * 24 * 3600 * 1000);
    for (const name of [old, 'notes.txt']) utimesSync(join(folders[0], name), longAgo, longAgo);
    PublishedSecret.publish('new job', 'a secret', folders);
    expect(existsSync(join(folders[0], old))).toBe(false);
    expect(existsSync(join(folders[0], 'notes.txt'))).toBe(true);
  });
});
