import { backendOf } from '../../src/backend/backends.js';
import type { BackendHealth } from './backends.js';
import type { Machine } from './machine.js';

/** Commands or steps that would make training work, or faster, the most useful first. */
export function advise(machine: Machine, backends: readonly BackendHealth[]): string[] {
  const gpus = machine.gpus.length;
  const adapter = machine.adapters.find(({ software }) => !software)?.name;
  const advice = backends.flatMap((health, index) => {
    const better = backends.slice(0, index).some(({ gpu }) => gpu);
    return backendOf(health.name).advise?.({ ...health, gpus, adapter, better }) ?? [];
  });
  if (!machine.zeromq.ok) advice.push('npm ci: several workers need zeromq');
  if (!machine.sharp.ok) advice.push('npm ci --include=optional: image folders need sharp');
  if (machine.memoryGigabytes < 4) advice.push('more memory: a worker takes 0.5 to 2 GB');
  return advice;
}
