import * as tf from '../../tf/index.js';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { PodDistError } from '../../util/errors.js';
import type { DawnEvents } from './events.js';

/** Private members of the backend that a read needs. */
interface Internals {
  commandEncoder: GPUCommandEncoder;
  convertAndCacheOnCPU(dataId: object, values: tf.backend_util.BackendValues): tf.backend_util.BackendValues;
}

/**
 * Gives the backend a `readSync` that works outside a browser: the values are copied into a buffer that can be mapped,
 * and the thread is blocked until the GPU has done so.
 *
 * Every read also reports what went wrong on the GPU before it: WebGPU goes on after an error, with buffers that are
 * invalid and results that are zero.
 */
export function blockingReads(backend: WebGPUBackend, events: DawnEvents): void {
  const device = backend.device as GPUDevice;
  let failure: string | undefined;
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    failure ??= event.error.message;
  });
  void device.lost.then(({ message }) => (failure ??= `the device is lost: ${message}`));

  const download = (source: GPUBuffer): ArrayBuffer => {
    const { size } = source;
    const staging = backend.bufferManager.acquireBuffer(
      size,
      GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
    );
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    (backend as unknown as Internals).commandEncoder.copyBufferToBuffer(source, 0, staging, 0, size);
    backend.submitQueue();
    events.wait(
      () => void staging.mapAsync(GPUMapMode.READ).catch(() => {}),
      () => staging.mapState !== 'pending',
    );
    if (failure !== undefined || staging.mapState !== 'mapped') throw gpuFailed(failure);
    const values = staging.getMappedRange().slice(0);
    staging.unmap();
    backend.bufferManager.releaseBuffer(staging);
    return values;
  };

  backend.readSync = (dataId) => {
    const { values, resource, dtype } = backend.tensorMap.get(dataId);
    if (values) return values;
    if (dtype === 'complex64')
      throw new PodDistError('NOT_SUPPORTED', 'complex numbers cannot be read from webgpu');
    const bytes = download(resource as unknown as GPUBuffer);
    const converted = tf.util.convertBackendValuesAndArrayBuffer(bytes, dtype);
    return (backend as unknown as Internals).convertAndCacheOnCPU(dataId, converted);
  };
}

function gpuFailed(message = 'the device is lost'): PodDistError {
  const first = message.split('\n')[0];
  return new PodDistError('GPU_FAILED', `the GPU failed: ${first}; lower batchSize if it is short of memory`);
}
