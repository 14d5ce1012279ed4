/** Loaded before everything else (`node --import`): workers start from the bundle of `faulty-worker.ts`. */
import Module from 'node:module';
import { fileURLToPath } from 'node:url';

type Resolve = (request: string, ...rest: unknown[]) => string;

const modules = Module as unknown as { _resolveFilename: Resolve };
const faulty = fileURLToPath(new URL('../soak.cjs', import.meta.url));

if (process.argv[1]?.endsWith('worker-process.js')) {
  const resolve = modules._resolveFilename;
  modules._resolveFilename = (request, ...rest) =>
    request.endsWith('/bundle/main.cjs') ? faulty : resolve(request, ...rest);
}
