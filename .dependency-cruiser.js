/**
 * Folders of `src`, in layers: a folder imports only from those before it, types included. The command line and the
 * benchmarks stand above all of them.
 */
const layers = [
  'util',
  's3',
  'wasm',
  'tf',
  'trace',
  'kernels',
  'transport',
  'collective',
  'backend',
  'pedcc',
  'models',
  'losses',
  'optim',
  'data',
  'config',
  'parallel',
  'batch-norm',
  'classifier',
  'evaluation',
  'checkpoint',
  'weights',
  'record',
  'logging',
  'training',
  'inference',
  'export',
  'report',
  'ui',
  'console',
  'job',
  'launching',
  'bench',
  'api',
];

const upwards = layers.map((layer, index) => ({
  name: `${layer}-imports-only-lower-layers`,
  severity: 'error',
  from: { path: `^src/${layer}/` },
  to: { path: '^src/', pathNot: `^src/(${layers.slice(0, index + 1).join('|')})/` },
}));

export default {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'every-folder-has-a-layer',
      severity: 'error',
      from: {},
      to: { path: '^src/[^/]+/', pathNot: `^src/(${layers.join('|')})/` },
    },
    ...upwards,
    {
      name: 'library-does-not-import-the-command',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(launcher|benchmarks|test)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    exclude: { path: '/assembly/' },
  },
};
