import tseslint from 'typescript-eslint';

const unionPackage = {
  name: '@tensorflow/tfjs',
  message: 'import src/tf/index.js: the union package is no dependency',
};

/** A path that somebody names may be a pipe, a device or a folder: only src/util/regular-file.ts opens such paths. */
const opening = ['open', 'openSync', 'readFile', 'readFileSync', 'createReadStream'];
const openedElsewhere = ['node:fs', 'node:fs/promises'].map((name) => ({
  name,
  importNames: opening,
  message: 'open what is named by others with src/util/regular-file.ts',
}));

/** The types of WebAssembly come with those of web workers, whose functions and variables Node does not have. */
const ofBrowsersOnly = [
  ...[
    'addEventListener',
    'caches',
    'cancelAnimationFrame',
    'close',
    'createImageBitmap',
    'crossOriginIsolated',
  ],
  ...[
    'dispatchEvent',
    'fonts',
    'importScripts',
    'indexedDB',
    'isSecureContext',
    'location',
    'name',
    'navigator',
  ],
  ...[
    'onerror',
    'onmessage',
    'onmessageerror',
    'origin',
    'postMessage',
    'removeEventListener',
    'reportError',
  ],
  ...['FileReader', 'FileReaderSync', 'ImageData', 'OffscreenCanvas', 'requestAnimationFrame', 'self'],
];

/** Files that open only what the system, the package or this process itself names. */
const openersOfOwnFiles = [
  'src/util/{regular-file,cores,processes,signals,source-positions,code-cache}.ts',
  'src/wasm/load.ts',
  'src/trace/trace-file.ts',
  'src/transport/host/*.ts',
  'src/data/pixels/*.ts',
  'src/backend/native/{cache,bf16-support}.ts',
  'src/checkpoint/files.ts',
  'src/record/{run-lock,run-record}.ts',
  'src/export/files.ts',
  'src/report/assets.ts',
  'src/ui/page.ts',
  'src/job/coordinator/memory-kills.ts',
  'src/backend/devices/*.ts',
  'src/job/join/worker-threads.ts',
  'src/job/join/environment.ts',
  'src/job/member/machine.ts',
  'src/launching/hosts/host-process.ts',
  'src/job/secret/read-secret.ts',
  'launcher/version.ts',
  'src/console/console.ts',
];

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'dist-release/',
      'examples/',
      'node_modules/',
      'src/**/assembly/',
      'src/wasm/generated/',
      '**/*.js',
      '**/*.cjs',
      '**/*.mjs',
    ],
  },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-require-imports': ['error', { allowAsImport: true }],
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-unnecessary-type-assertion': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      eqeqeq: 'error',
      'no-restricted-globals': ['error', ...ofBrowsersOnly],
      'no-restricted-imports': ['error', { paths: [unionPackage] }],
    },
  },
  {
    files: ['src/**', 'launcher/**'],
    ignores: openersOfOwnFiles,
    rules: { 'no-restricted-imports': ['error', { paths: [unionPackage, ...openedElsewhere] }] },
  },
  {
    files: ['src/**', 'launcher/**', 'benchmarks/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            ':matches(CallExpression[callee.object.name=/^(Math|String)$/], CallExpression[callee.property.name=/^(push|unshift|splice)$/]) > SpreadElement',
          message:
            'a call takes about 120,000 arguments: use a loop, concat, or largest and smallest of src/util/extremes.ts',
        },
      ],
    },
  },
  // Vitest's asymmetric matchers are typed any.
  { files: ['test/**'], rules: { '@typescript-eslint/no-unsafe-assignment': 'off' } },
);
