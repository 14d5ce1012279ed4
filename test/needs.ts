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
