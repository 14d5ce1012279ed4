/** Loaded before everything else (`node --require`): processes that train start from the bundle that has `inject.ts`. */
import Module = require('node:module');
import path = require('node:path');

type Resolve = (request: string, ...rest: unknown[]) => string;

const modules = Module as unknown as { _resolveFilename: Resolve };
const faulty = path.join(__dirname, '../bundle/main.cjs');

function trains([, program = '', command, ...args]: readonly string[]): boolean {
  if (program.endsWith('worker-process.js')) return true;
  if (!program.endsWith('cli.js')) return false;
  // A task of an elastic job keeps the place of a worker, which is a process below it.
  if (command === 'worker')
    return process.env.POD_DIST_KEPT !== undefined || !args.some((arg) => arg.includes('elastic'));
  return command === 'launch' && args[args.indexOf('--workers') + 1] === '1';
}

if (trains(process.argv)) {
  const resolve = modules._resolveFilename;
  modules._resolveFilename = (request, ...rest) =>
    request.endsWith('/bundle/main.cjs') ? faulty : resolve(request, ...rest);
}
