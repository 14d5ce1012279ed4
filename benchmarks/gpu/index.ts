import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { messageOf } from '../../src/util/errors.js';
import { pageOf, type Evidence, type PartResult } from './page.js';
import { partsOf } from './parts.js';

/**
 * Measures pod-dist on a GPU in one run of a few minutes: devices, exactness, steps beside
 * PyTorch, training from image files, two workers on one GPU, the loss of one of them. Parts run one after another, each
 * with a deadline of its own; what has been measured is written after each part, so that an end by force loses one part.
 * `benchmarks/gpu.sh` calls it on a machine that has nothing but a driver.
 *
 *     node dist/benchmarks/gpu/index.js --out OUT [--backends webgpu,native] [--images DIR] [--python python3]
 *       [--seconds 480] [--only steps,loader]
 */
const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'gpu' },
    backends: { type: 'string', default: 'webgpu' },
    images: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    seconds: { type: 'string', default: '480' },
    only: { type: 'string' },
  },
});
const { out, images, python } = values;
const backends = values.backends.split(',');
const only = values.only?.split(',');
const endsAt = performance.now() + 1000 * Number(values.seconds);
/** With less time left than this a part is not begun. */
const leastSeconds = 8;

mkdirSync(out, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), 'pod-dist-gpu-'));
const evidence: Evidence = { date: new Date().toISOString(), node: process.version, backends, parts: [] };
try {
  const parts = partsOf({ backends, images, python, folder });
  for (const { name, kind, seconds, measure } of parts) {
    if (only && !only.includes(kind)) continue;
    const left = (endsAt - performance.now()) / 1000;
    const began = performance.now();
    const result: PartResult = { name, kind };
    if (left < leastSeconds) result.fault = 'left out: no time was left';
    else {
      try {
        result.rows = await measure(Math.min(seconds, left));
      } catch (error) {
        result.fault = messageOf(error);
      }
    }
    result.seconds = (performance.now() - began) / 1000;
    evidence.parts.push(result);
    console.error(`${name}: ${result.fault ?? 'measured'}, ${result.seconds.toFixed(0)} s`);
    writeFileAtomicSync(join(out, 'gpu.json'), `${JSON.stringify(evidence, null, 1)}\n`);
    writeFileAtomicSync(join(out, 'gpu.md'), pageOf(evidence));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
