import { UserError } from '../util/errors.js';

/** Bucket and key that an address names. */
export interface S3Address {
  bucket: string;
  key: string;
}

const scheme = 's3://';

/** Whether a path is an address of objects. */
export function isS3(path: string): boolean {
  return path.startsWith(scheme);
}

/**
 * Bucket and key of `s3://bucket/key`.
 *
 * @throws UserError `FILE_UNUSABLE`
 */
export function s3Address(path: string): S3Address {
  const [, bucket, key = ''] = /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:\/(.*))?$/s.exec(path) ?? [];
  if (bucket === undefined)
    throw new UserError('FILE_UNUSABLE', `${path} is no address of objects: write s3://bucket/prefix`);
  return { bucket, key };
}

/** The address of what lies below another. */
export function joinS3(root: string, name: string): string {
  return `${root.replace(/\/+$/, '')}/${name.replace(/^\/+/, '')}`;
}

/** What follows the last slash of an address. */
export function fileOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
