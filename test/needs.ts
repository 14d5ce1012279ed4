declare module '@vitest/runner' {
  interface TaskMeta {
    needs?: string;
  }
}

/**
 * Options of a test, or of a group of tests, that needs something that not every machine has. Without it the test is
 * skipped, and the run ends with a list of what was missing.
 *
 * @example it('draws the page', needs('Chromium', findChromium()), async () => { ... });
 */
export function needs(what: string, there: unknown): { skip: boolean; meta: { needs: string } } {
  return { skip: !there, meta: { needs: what } };
}

/** Options of a long test that only `npm run test:all` runs; a shorter test of the same kind always runs. */
export const long = needs('time (npm run test:all)', process.env.POD_DIST_TESTS === 'all');
