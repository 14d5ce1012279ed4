// Writes src/backend/native/wheels.ts: name, size and SHA-256 of every wheel that `pod-dist setup` may take.
// Run it after another version of TensorFlow has been set in src/backend/native/cache.ts:
//   npm run build && node scripts/pin-wheels.js
// pip says which files its index has for each Python; compare the change before it is committed.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tensorflowVersion } from '../dist/src/backend/native/cache.js';

const pythons = ['3.10', '3.11', '3.12', '3.13'];
const glibc = ['2014', '_2_17', '_2_24', '_2_27', '_2_28'];
const options = ['--disable-pip-version-check', '--only-binary', ':all:', '--target', 'unused'];

/** Left out: TensorFlow opens NCCL only for its own collectives, which pod-dist does not use. */
const unused = /nccl/;

/** The wheels that pip would install on Linux on x86-64: of the requirement alone, or of all that it asks for. */
function resolve(python, requirement, dependencies) {
  const platforms = glibc.flatMap((version) => ['--platform', `manylinux${version}_x86_64`]);
  const dry = ['install', '--quiet', '--dry-run', '--ignore-installed', '--report', '-'];
  const only = dependencies ? [] : ['--no-deps'];
  const args = ['-m', 'pip', ...dry, ...options, ...only, ...platforms, '--python-version', python];
  const report = execFileSync('python3', [...args, requirement], { maxBuffer: 2 ** 28 });
  return JSON.parse(report)
    .install.filter(({ metadata: { name } }) => /^(tensorflow|nvidia)/.test(name) && !unused.test(name))
    .map(({ metadata: { name, version }, download_info: { url, archive_info } }) => ({
      url,
      requirement: `${name.replaceAll('_', '-')}==${version}`,
      sha256: archive_info.hashes.sha256,
    }));
}

async function describe({ url, requirement, sha256 }) {
  const response = await fetch(url, { method: 'HEAD' });
  const bytes = Number(response.headers.get('content-length'));
  if (!response.ok || !(bytes > 0)) throw new Error(`no size of ${url}`);
  return { file: url.split('/').pop(), requirement, bytes, sha256 };
}

const found = new Map();
for (const python of pythons) {
  for (const wheel of resolve(python, `tensorflow-cpu==${tensorflowVersion}`, false))
    found.set(wheel.url, { ...wheel, cuda: false });
  for (const wheel of resolve(python, `tensorflow==${tensorflowVersion}`, false))
    found.set(wheel.url, { ...wheel, cuda: true });
}
for (const wheel of resolve('3.12', `tensorflow[and-cuda]==${tensorflowVersion}`, true))
  found.set(wheel.url, { ...wheel, cuda: true });
const wheels = { cpu: [], cuda: [] };
for (const wheel of found.values()) wheels[wheel.cuda ? 'cuda' : 'cpu'].push(await describe(wheel));

writeFileSync(
  'src/backend/native/wheels.ts',
  `/** A wheel that set-up may take, as the index had it when it was pinned. */
export interface PinnedWheel {
  file: string;
  /** Requirements that pip resolves. */
  requirement: string;
  bytes: number;
  sha256: string;
}

/** Wheels of TensorFlow, and of CUDA's libraries for it; written by scripts/pin-wheels.js. */
export const wheels: Record<'cpu' | 'cuda', readonly PinnedWheel[]> = ${JSON.stringify(wheels)};
`,
);
