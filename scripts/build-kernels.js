// Compiles the WebAssembly programs of src/wasm/assembly into dist/src/wasm/NAME.wasm, and writes the types of their
// kernels to src/wasm/generated/NAME.ts.
import asc from 'assemblyscript/asc';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const common = [
  '--runtime',
  'stub',
  '--importMemory',
  '--initialMemory',
  '1',
  '--enable',
  'simd',
  '--noAssert',
];
const optimised = ['-O3', '--bindings', 'raw'];
const largest = ['--maximumMemory', '65536'];
const programs = {
  arena: ['--sharedMemory', ...largest, '--enable', 'threads'],
  repulsion: largest,
  training: ['--enable', 'bulk-memory'],
};

mkdirSync('dist/src/wasm', { recursive: true });
for (const [name, options] of Object.entries(programs)) {
  const files = await compile(name, [...common, ...options, ...optimised]);
  writeFileSync(`dist/src/wasm/${name}.wasm`, files.get(`${name}.wasm`));
  writeIfChanged(`src/wasm/generated/${name}.ts`, typesOf(name, files.get(`${name}.d.ts`)));
}

async function compile(name, options) {
  const files = new Map();
  const { error, stderr } = await asc.main(
    [`src/wasm/assembly/${name}/index.ts`, '--outFile', `${name}.wasm`, ...options],
    { writeFile: (file, contents) => void files.set(file, contents) },
  );
  if (error) throw new Error(`${name} does not compile: ${error.message}\n${stderr.toString()}`);
  return files;
}

/** The compiler's declarations, without the memory, which is the caller's own. */
function typesOf(name, declarations) {
  const own = declarations.replace(/^ *\/\*\* Exported memory \*\/\n.*\n/m, '');
  return `// Written by scripts/build-kernels.js from src/wasm/assembly/${name}: change that, then npm run build.\n${own}`;
}

/** Leaves a file as it is where nothing changes, so that what is compiled from it stays up to date. */
function writeIfChanged(file, contents) {
  let present;
  try {
    present = readFileSync(file, 'utf8');
  } catch {
    present = undefined;
  }
  if (contents !== present) writeFileSync(file, contents);
}
