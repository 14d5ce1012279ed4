/** Every backend, the one to prefer first. */
export const backendNames = ['native', 'webgpu', 'wasm', 'cpu'] as const;

export type BackendName = (typeof backendNames)[number];
