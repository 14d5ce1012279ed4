import { defineBackend } from '../backend.js';
import { webgpuDevices } from './devices.js';

/** GPUs of every maker over WebGPU, with the optional packages; its errors explain themselves when they are read. */
export const webgpu = defineBackend({
  name: 'webgpu',
  automatic: () => 'never',
  start: async () => (await import('./start.js')).startWebgpu(),
  threaded: false,
  deterministic: false,
  synchronous: false,
  devices: webgpuDevices,
  howToGetGpu: "install the GPU's Vulkan driver, or see pod-dist doctor",
  advise: ({ adapter, better }) =>
    adapter !== undefined && !better ? `--backend webgpu: trains on ${adapter}` : undefined,
});
