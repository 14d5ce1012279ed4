import './packages.js';
import './registrations.js';

/**
 * TensorFlow.js as pod-dist and its users have it: operations and layers, every gradient, methods on tensors such as
 * `x.relu()`, and the plain JavaScript backend. The packages are Node's own copies, so that a program that imports
 * `@tensorflow/tfjs-core` itself works on the same engine.
 */
export * from './packages.js';
