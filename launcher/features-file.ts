import { extname } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import type { Features } from '../src/launching/features-run.js';
import { messageOf, UserError } from '../src/util/errors.js';
import { present } from '../src/util/present.js';
import { requireReplaceable } from '../src/util/regular-file.js';
import { npyFile } from './npy.js';

const endings = ['.npy', '.safetensors'];

/** @throws UserError for a name whose ending names no format (`USAGE`), or where no file can be written */
export function checkFeaturesFile(file: string): void {
  for (const one of filesOf(file)) requireReplaceable(one);
  if (!endings.includes(extname(file)))
    throw new UserError('USAGE', `${file}: end the name in .npy (NumPy) or .safetensors`);
}

/** The files that features are written to: NumPy's format has one array a file. */
export function filesOf(file: string): string[] {
  if (extname(file) !== '.npy') return [file];
  const stem = file.slice(0, -'.npy'.length);
  return [file, `${stem}.labels.npy`, `${stem}.norms.npy`, `${stem}.names.json`];
}

/** Writes features, labels, norms and names, each file whole or not at all. */
export function writeFeatures(file: string, features: Features): void {
  const contents = extname(file) === '.npy' ? npyContents(features) : [safetensors(features)];
  try {
    for (const [index, name] of filesOf(file).entries())
      writeFileAtomicSync(name, present(contents[index], `the contents of ${name}`));
  } catch (error) {
    throw new UserError('USAGE', `cannot write ${file}: ${messageOf(error)}`);
  }
}

function namesOf({ names, classNames }: Features): string {
  return JSON.stringify({ names, classNames });
}

function npyContents(features: Features): Buffer[] {
  const { values, dim, labels, norms } = features;
  return [
    npyFile(values, [norms.length, dim]),
    npyFile(labels, [labels.length]),
    npyFile(norms, [norms.length]),
    Buffer.from(`${namesOf(features)}\n`),
  ];
}

/** The tensors `features`, `labels` and `norms`; names and classes as JSON in the metadata, which holds text alone. */
function safetensors(features: Features): Buffer {
  const { values, dim, labels, norms } = features;
  const images = norms.length;
  const tensors = [
    { key: 'features', dtype: 'F32', shape: [images, dim], data: values },
    { key: 'labels', dtype: 'I32', shape: [images], data: labels },
    { key: 'norms', dtype: 'F32', shape: [images], data: norms },
  ];
  let end = 0;
  const entries = tensors.map(({ key, dtype, shape, data }) => {
    const start = end;
    end += data.byteLength;
    return [key, { dtype, shape, data_offsets: [start, end] }];
  });
  const { names, classNames } = features;
  const metadata = { names: JSON.stringify(names), classNames: JSON.stringify(classNames) };
  const json = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) });
  const header = Buffer.alloc(8 + Math.ceil(Buffer.byteLength(json) / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  header.write(json, 8);
  return Buffer.concat([
    header,
    ...tensors.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  ]);
}
