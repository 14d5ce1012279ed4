import { constants } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { UserError } from '../util/errors.js';
import { openRegularHandle } from '../util/regular-file.js';
import { s3Address } from './address.js';
import { openS3 } from './client.js';
import { retried, type Patience } from './retry.js';

/** An object in the state in which it was found. */
export interface S3Object {
  path: string;
  bytes: number;
  /** Its ETag. */
  version: string;
}

/** Objects in a listing, at most. */
const mostListed = 10_000_000;

/**
 * Finds an object.
 *
 * @throws as `retried`
 */
export async function findObject(path: string, patience: Patience = {}): Promise<S3Object> {
  const { bucket, key } = s3Address(path);
  const { sdk, client } = await openS3();
  const { ContentLength: bytes, ETag: version } = await retried({
    ...patience,
    what: `read ${path}`,
    work: (abortSignal) =>
      client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal }),
  });
  if (bytes === undefined || version === undefined)
    throw new UserError(
      'FILE_UNUSABLE',
      `cannot read ${path}: the server tells neither its size nor its ETag`,
    );
  return { path, bytes, version };
}

/**
 * The bytes of an object from `at` on, all of them: where a connection breaks, the next goes on with the byte that is
 * missing. Only the object that was found is read, not another one that has taken its place.
 *
 * @throws UserError `DATA_INVALID` where the object has changed; else as `retried`
 */
export async function readObject(
  { path, version }: S3Object,
  at: number,
  length: number,
  patience: Patience = {},
): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  if (length === 0) return bytes;
  const { bucket, key } = s3Address(path);
  const { sdk, client } = await openS3();
  let done = 0;
  await retried({
    ...patience,
    what: `read ${path}`,
    bytes: length,
    progress: () => done,
    work: async (abortSignal) => {
      const range = `bytes=${at + done}-${at + length - 1}`;
      const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: key, Range: range, IfMatch: version });
      const { Body, ETag, ContentRange } = await client
        .send(command, { abortSignal })
        .catch((error: unknown) => {
          throw statusOf(error) === 412 || statusOf(error) === 416 ? changedObject(path) : error;
        });
      const body = Body as Readable;
      try {
        if (ETag !== version) throw changedObject(path);
        if (!ContentRange?.startsWith(`bytes ${at + done}-`))
          throw new Error(`the server sends ${ContentRange ?? 'all bytes'}, not ${range}`);
        for await (const chunk of body as AsyncIterable<Buffer>) {
          if (done + chunk.length > length) throw new Error('the server sends more than was asked for');
          bytes.set(chunk, done);
          done += chunk.length;
        }
      } finally {
        body.destroy();
      }
      if (done < length) throw new Error(`the connection ended after ${done} of ${length} bytes`);
    },
  });
  return bytes;
}

export interface ListOptions extends Patience {
  /** Only what is right below the address. */
  flat?: boolean;
  /** Objects and folders, at most; more are an error. */
  most?: number;
  /** Objects a page; default: as many as the server gives. */
  pageKeys?: number;
}

/** Bytes of a file that are fetched at a time. */
const partBytes = 2 ** 23;
/** An object that is sent at once has this many bytes at most. */
const mostSent = 5 * 2 ** 30;

/** Writes an object to a file, which is made; part by part, each as `readObject` does it. */
export async function fetchObject(object: S3Object, file: string, patience: Patience = {}): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  const handle = await openRegularHandle(file, O_WRONLY | O_CREAT | O_EXCL);
  try {
    for (let at = 0; at < object.bytes; at += partBytes)
      await handle.writeFile(await readObject(object, at, Math.min(partBytes, object.bytes - at), patience));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes an object of a file, or replaces it: all of it, or nothing.
 *
 * @throws as `retried`; UserError `FILE_UNUSABLE` for a file of more than 5 GiB
 */
export async function writeObject(path: string, file: string, patience: Patience = {}): Promise<void> {
  const { bucket, key } = s3Address(path);
  const { sdk, client } = await openS3();
  const { size } = await stat(file);
  if (size > mostSent)
    throw new UserError('FILE_UNUSABLE', `cannot write ${path}: it has ${size} bytes, the most are 5 GiB`);
  await retried({
    ...patience,
    what: `write ${path}`,
    bytes: size,
    work: async (abortSignal) => {
      const body = (await openRegularHandle(file)).createReadStream();
      const command = new sdk.PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentLength: size });
      await client.send(command, { abortSignal }).finally(() => body.destroy());
    },
  });
}

/** Removes an object, if there is one. */
export async function removeObject(path: string, patience: Patience = {}): Promise<void> {
  const { bucket, key } = s3Address(path);
  const { sdk, client } = await openS3();
  await retried({
    ...patience,
    what: `remove ${path}`,
    work: (abortSignal) =>
      client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: key }), { abortSignal }),
  });
}

/** Objects below an address, page by page; with `flat` those right below it, and the names of folders there. */
export async function listObjects(
  root: string,
  { flat = false, most = mostListed, pageKeys, ...patience }: ListOptions = {},
): Promise<{ objects: S3Object[]; folders: string[] }> {
  const { bucket, key } = s3Address(root);
  const prefix = key === '' || key.endsWith('/') ? key : `${key}/`;
  const { sdk, client } = await openS3();
  const objects: S3Object[] = [];
  const folders: string[] = [];
  let token: string | undefined;
  do {
    const request = {
      ...{ Bucket: bucket, Prefix: prefix, ContinuationToken: token },
      ...(flat ? { Delimiter: '/' } : {}),
      MaxKeys: pageKeys,
    };
    const page = await retried({
      ...patience,
      what: `list ${root}`,
      work: (abortSignal) => client.send(new sdk.ListObjectsV2Command(request), { abortSignal }),
    });
    for (const { Key = '', Size: bytes = 0, ETag: version = '' } of page.Contents ?? [])
      if (!Key.endsWith('/')) objects.push({ path: `s3://${bucket}/${Key}`, bytes, version });
    for (const { Prefix = '' } of page.CommonPrefixes ?? []) folders.push(Prefix.slice(prefix.length, -1));
    if (objects.length + folders.length > most)
      throw new UserError('FILE_UNUSABLE', `${root} holds more than ${most} objects`);
    const next = page.IsTruncated ? page.NextContinuationToken : undefined;
    if (next !== undefined && next === token)
      throw new UserError('FILE_UNUSABLE', `cannot list ${root}: the server gives the same page twice`);
    token = next;
  } while (token !== undefined);
  return { objects, folders };
}

function changedObject(path: string): UserError {
  return new UserError('DATA_INVALID', `${path} has changed since it was listed: start again`);
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}
