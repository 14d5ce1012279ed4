import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { cacheFolder } from '../../util/cache-folder.js';

/** TensorFlow whose shared library the addon is built against. */
export const tensorflowVersion = '2.21.0';

const manifestSchema = z.object({
  tensorflow: z.string(),
  cuda: z.boolean(),
  /** File of the addon, in the manifest's folder. */
  addon: z.string(),
  /** File of the operations that are added to TensorFlow, in the same folder; null where they did not compile. */
  operations: z.string().nullable(),
  /** `sourcesDigest` of the compiled sources. */
  sources: z.string(),
  /** Device at the first load: whether it was a GPU. */
  verified: z.object({ gpu: z.boolean() }).default({ gpu: false }),
});

export type Manifest = z.output<typeof manifestSchema>;

/** The folder of the native addon of these sources for this platform, one for the CPU and one for CUDA. */
export function addonFolder(cuda: boolean, environment: NodeJS.ProcessEnv = process.env): string {
  const parts = [tensorflowVersion, process.platform, process.arch, cuda ? 'cuda' : 'cpu'];
  const name = ['tensorflow', ...parts, sourcesDigest().slice(0, 12)].join('-');
  return join(cacheFolder(environment), 'native', name);
}

/** The folder of a TensorFlow that was fetched, for all addons of this platform that are built against it. */
export function libraryFolder(cuda: boolean, environment: NodeJS.ProcessEnv = process.env): string {
  const name = ['library', tensorflowVersion, process.platform, process.arch, cuda ? 'cuda' : 'cpu'].join(
    '-',
  );
  return join(cacheFolder(environment), 'native', name);
}

/** C++ sources that set-up compiles: the addon of @tensorflow/tfjs-node-gpu, and operations added to TensorFlow. */
export const sourceFolders = {
  binding: fileURLToPath(new URL('./binding', import.meta.url)),
  operations: fileURLToPath(new URL('./operations', import.meta.url)),
};

/** Version key of the native code in the cache: SHA-256 of its sources, in hex. */
export function sourcesDigest(): string {
  const hash = createHash('sha256');
  for (const folder of Object.values(sourceFolders)) {
    for (const name of readdirSync(folder).sort())
      hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
  }
  return hash.digest('hex');
}

/**
 * Manifest of a finished set-up in `folder`; undefined where there is none that can be read, or where it is of other
 * sources than this version's.
 */
export function readManifest(folder: string): Manifest | undefined {
  const file = join(folder, 'manifest.json');
  if (!existsSync(file)) return undefined;
  try {
    const manifest = manifestSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    return manifest.sources === sourcesDigest() ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/** The addon that set-up has built, the CUDA one first. */
export function findAddon(
  environment: NodeJS.ProcessEnv = process.env,
): { file: string; operations?: string; manifest: Manifest } | undefined {
  for (const cuda of [true, false]) {
    const folder = addonFolder(cuda, environment);
    const manifest = readManifest(folder);
    const file = manifest && join(folder, manifest.addon);
    if (!manifest || !file || !existsSync(file)) continue;
    const operations = manifest.operations === null ? undefined : join(folder, manifest.operations);
    return { file, operations, manifest };
  }
  return undefined;
}
