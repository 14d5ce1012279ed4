// Kernels on the arena. Offsets and lengths are in bytes unless a name says otherwise.
export { addFloat32, addFloat64, clearFloat32, maxFloat32, maxFloat64, scaleFloat32 } from './reduce';
export { packBfloat16, unpackAddBfloat16, unpackBfloat16 } from './bfloat16';
export { average, sgd, adamW } from './optimisers';
export { squaredNorm, firstNonFinite } from './inspect';
