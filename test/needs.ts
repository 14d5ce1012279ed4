declare module '@vitest/runner' {
  interface TaskMeta {
    needs?: string;
  }
}

/**
 * Options of a test, or of a group of them, that runs only where something is there: the run ends with a list of what
 * was not.
 *
 * @example it('draws the page', needs('Chromium', findChromium()), async () => { ... });
 */
export function needs(what: string, there: unknown): { skip: boolean; meta: { needs: string } } {
  return { skip: !there, meta: { needs: what } };
}

/** Options of a test that takes long, and of whose kind a shorter one is always run: `npm run test:all` runs both. */
export const long = needs('time: npm run test:all takes it', process.env.POD_DIST_TESTS === 'all');
