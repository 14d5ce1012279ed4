import type * as s3 from '@aws-sdk/client-s3';
import { messageOf, UserError } from '../util/errors.js';

type Sdk = typeof s3;

/** The SDK, and a client of it. */
export interface S3Access {
  sdk: Sdk;
  client: s3.S3Client;
}

const packageName = '@aws-sdk/client-s3';

/** Region where nothing names one: servers other than Amazon's take any. */
const anyRegion = 'us-east-1';

const quiet = () => {};

let access: Promise<S3Access> | undefined;

/**
 * The client of this thread, which is made when the first object is wanted. Credentials, region and address of the server
 * come from the usual variables and files (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`, ...).
 *
 * @throws UserError `FILE_UNUSABLE` where the package is not installed
 */
export function openS3(): Promise<S3Access> {
  return (access ??= open());
}

async function open(): Promise<S3Access> {
  const sdk = await load();
  const { AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  const make = (region: string | undefined) =>
    new sdk.S3Client({
      ...(region === undefined ? {} : { region }),
      forcePathStyle: true,
      // Every request is tried again by who makes it, and goes on where it broke.
      maxAttempts: 1,
      // What fails is told by who asked for it, in one line.
      logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      // What other servers do not know is only sent where an operation needs it.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
  const client = make(AWS_REGION || AWS_DEFAULT_REGION);
  try {
    await client.config.region();
    return { sdk, client };
  } catch {
    return { sdk, client: make(anyRegion) };
  }
}

async function load(): Promise<Sdk> {
  try {
    // Which versions of Node.js later versions of the package will need is of no concern to who trains.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
    const found = (await import(packageName)) as Sdk & { default?: Sdk };
    return found.default ?? found;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const [reason] = messageOf(error).split('\n');
    throw new UserError(
      'FILE_UNUSABLE',
      `s3:// needs a package that ${missing ? 'is not installed' : `does not load (${reason})`}: npm install ${packageName}`,
    );
  }
}
