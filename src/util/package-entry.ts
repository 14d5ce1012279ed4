/** The file that `import 'pod-dist'` gives the same modules from as this process runs; bundles have one of their own. */
export const packageEntry = new URL('../index.js', import.meta.url).href;
