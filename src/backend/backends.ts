import type { Backend } from './backend.js';
import { cpu } from './cpu/index.js';
import type { Devices } from './devices/devices.js';
import { native } from './native/index.js';
import { wasm } from './wasm/index.js';
import { webgpu } from './webgpu/index.js';

/** Every backend, the most preferred first. */
const table = [native, webgpu, wasm, cpu] as const;

/** Name of a backend. */
export type BackendName = (typeof table)[number]['name'];

/** Value of `backend` in a recipe. */
export type BackendChoice = BackendName | 'auto';

export const backends: readonly Backend<BackendName>[] = table;

export const backendNames = table.map(({ name }) => name) as [BackendName, ...BackendName[]];

/** Backends that `auto` may take, the most preferred first. */
export const automaticNames = backends
  .filter(({ automatic }) => automatic({ requireGpu: true }) !== 'never')
  .map(({ name }) => name);

/** Names as a sentence lists them: native, wasm and cpu. */
export function listed(names: readonly BackendName[]): string {
  return new Intl.ListFormat('en-GB').format(names);
}

export function backendOf(name: BackendName): Backend<BackendName> {
  return backends.find((backend) => backend.name === name) as Backend<BackendName>;
}

/** Devices of a backend; for `auto`, those of the backend that it takes on a GPU. */
export function devicesOf(choice: BackendChoice): Devices {
  return backendOf(choice === 'auto' ? automaticNames[0] : choice).devices;
}
