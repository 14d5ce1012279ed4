/** A worker of `pod-dist launch` with the faults of `inject.ts`: bundled with it, since a worker starts from a bundle. */
import './inject.js';
import '../../launcher/worker-process.js';
