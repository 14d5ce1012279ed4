import type { create } from 'webgpu';
import { messageOf, UserError } from '../../util/errors.js';

interface Package {
  create: typeof create;
  globals: Record<string, unknown>;
}

/** A GPU, or a driver that computes on the CPU, as WebGPU finds it. */
export interface AdapterDescription {
  /** Name that the driver gives; `adapterVariable` takes it, or a part of it. */
  name: string;
  /** Maker and driver. */
  driver: string;
  /** Whether it computes on the CPU. */
  software: boolean;
}

/** Names, whole or in part, the adapter that this process computes on; unset: the first one, a GPU before software. */
export const adapterVariable = 'POD_DIST_WEBGPU_ADAPTER';

/** The one interface of each system that Dawn is used over. */
const systemInterface = { darwin: 'metal', win32: 'd3d12' } as Partial<Record<NodeJS.Platform, string>>;
const graphicsInterface = systemInterface[process.platform] ?? 'vulkan';

const howToInstall =
  process.platform === 'linux'
    ? 'install a Vulkan driver: the one of the GPU, or on Debian and Ubuntu the packages libvulkan1 and mesa-vulkan-drivers (Mesa 23 or newer)'
    : 'install the driver of the GPU';

let loaded: Promise<Package> | undefined;

/** @throws UserError `BACKEND_UNAVAILABLE` */
export function loadDawn(): Promise<Package> {
  loaded ??= importDawn();
  return loaded;
}

async function importDawn(): Promise<Package> {
  try {
    return (await import('webgpu')) as unknown as Package;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    throw new UserError(
      'BACKEND_UNAVAILABLE',
      missing
        ? 'webgpu needs the optional packages webgpu and @tensorflow/tfjs-backend-webgpu: run npm ci without --omit=optional'
        : `Dawn, the WebGPU of the package webgpu, does not load here: ${messageOf(error)}; it needs glibc 2.34 or newer on Linux`,
    );
  }
}

/**
 * The adapter whose name contains `name`, or the first one, a GPU before software.
 *
 * @throws UserError `BACKEND_UNAVAILABLE` where there is none, saying what to install
 */
export async function openAdapter(name = process.env[adapterVariable]): Promise<GPUAdapter> {
  const named = name === undefined ? null : await request(name);
  if (named) return named;
  const found = await findAdapters();
  if (found.length === 0) throw noAdapter();
  if (name === undefined) return found[0].adapter;
  const names = found.map((other) => other.name).join(', ');
  throw new UserError('BACKEND_UNAVAILABLE', `${adapterVariable} is ${name}, but WebGPU finds ${names}`);
}

/** Error where there is no adapter: says what to install, or which setting hides the adapters. */
export function noAdapter(): UserError {
  const name = process.env[adapterVariable];
  const hidden = name === undefined ? '' : ` that ${adapterVariable}=${name} names`;
  return new UserError('BACKEND_UNAVAILABLE', `webgpu finds no GPU here${hidden}: ${howToInstall}`);
}

/** Every adapter of this machine, GPUs first. Cards of one name cannot be distinguished and are listed once. */
export async function listAdapters(): Promise<AdapterDescription[]> {
  const found = await findAdapters();
  return found.map(({ name, adapter }) => ({
    name,
    driver: adapter.info.description,
    software: isSoftware(adapter),
  }));
}

async function findAdapters(): Promise<{ name: string; adapter: GPUAdapter }[]> {
  const found: { name: string; adapter: GPUAdapter }[] = [];
  for (const name of await adapterNames()) {
    const adapter = await request(name);
    if (adapter) found.push({ name, adapter });
  }
  return found.sort((a, b) => Number(isSoftware(a.adapter)) - Number(isSoftware(b.adapter)));
}

/** Whether an adapter computes on the CPU. */
export function isSoftware({ info }: GPUAdapter): boolean {
  return (
    info.isFallbackAdapter || /llvmpipe|swiftshader|basic render/i.test(`${info.device} ${info.description}`)
  );
}

/** Names of the adapters: Dawn lists them when it is asked for one that cannot exist. */
async function adapterNames(): Promise<string[]> {
  const { create } = await loadDawn();
  try {
    await create([`backend=${graphicsInterface}`, 'adapter=\u0001']).requestAdapter();
    return [];
  } catch (error) {
    const lines = (error as Error).message.matchAll(/backend: '([^']+)', name: '(.+)'$/gm);
    return [
      ...new Set([...lines].filter(([, kind]) => kind === graphicsInterface).map(([, , name]) => name)),
    ];
  }
}

/** Instances of Dawn in use, kept here since a collected instance takes its devices along. */
const instances = new Set<GPU>();

async function request(name: string): Promise<GPUAdapter | null> {
  const { create } = await loadDawn();
  try {
    const instance = create([`backend=${graphicsInterface}`, `adapter=${name}`]);
    const adapter = await instance.requestAdapter();
    instances.add(instance);
    return adapter;
  } catch {
    return null;
  }
}
