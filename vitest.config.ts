import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const built = fileURLToPath(new URL('./dist/', import.meta.url));

// Tests import sources by their TypeScript paths and run what users run: the compiled files in dist/.
// Worker threads and child processes then start from the same files as in production.
export default defineConfig({
  resolve: {
    alias: [{ find: /^(?:\.\.\/)+(src|launcher|benchmarks)\//, replacement: `${built}$1/` }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    server: { deps: { external: [/\/dist\//] } },
  },
});
