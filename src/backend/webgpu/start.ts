import * as tf from '../../tf/index.js';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { messageOf, UserError } from '../../util/errors.js';
import type { Started } from '../backend.js';
import { blockingReads } from './blocking-reads.js';
import { isSoftware, loadDawn, openAdapter } from './dawn.js';
import { DawnEvents } from './events.js';

/** Limits that the kernels of tfjs use as far as the adapter allows. */
const limits = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
] as const;

let started: Promise<Started> | undefined;

/**
 * Starts tfjs's webgpu backend on Dawn, on the adapter that `POD_DIST_WEBGPU_ADAPTER` names or the first one, with reads
 * that block.
 *
 * @throws UserError `BACKEND_UNAVAILABLE`, saying what to install
 */
export async function startWebgpu(): Promise<Started> {
  started ??= register();
  const result = await started;
  await tf.setBackend('webgpu');
  return result;
}

async function register(): Promise<Started> {
  const { globals } = await loadDawn();
  const adapter = await openAdapter();
  const events = new DawnEvents();
  const device = await openDevice(adapter, events);
  Object.assign(globalThis, globals);
  const backend = await createBackend(device, adapter);
  blockingReads(backend, events);
  tf.registerBackend('webgpu', () => backend);
  const { device: name, description } = adapter.info;
  const software = isSoftware(adapter);
  return {
    gpu: !software,
    device: software ? `CPU (software Vulkan, ${description})` : `GPU (${name}, ${description})`,
  };
}

async function openDevice(adapter: GPUAdapter, events: DawnEvents): Promise<GPUDevice> {
  const requiredLimits = Object.fromEntries(limits.map((name) => [name, adapter.limits[name]]));
  try {
    return await events.catchPoll(() => adapter.requestDevice({ requiredLimits }));
  } catch (error) {
    throw new UserError(
      'BACKEND_UNAVAILABLE',
      `webgpu cannot open ${adapter.info.description}: ${messageOf(error)}`,
    );
  }
}

/** The package takes itself to be in a browser and looks for `navigator.gpu`, of which it uses nothing. */
async function createBackend(device: GPUDevice, adapter: GPUAdapter): Promise<WebGPUBackend> {
  const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
  const shipped = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', { value: { gpu: {} }, configurable: true });
  try {
    return new WebGPUBackend(device as never, adapter.info as never);
  } finally {
    if (shipped) Object.defineProperty(globalThis, 'navigator', shipped);
    else Reflect.deleteProperty(globalThis, 'navigator');
  }
}
