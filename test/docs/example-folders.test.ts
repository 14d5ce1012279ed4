import { spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { remark } from 'remark';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { datasets, openDataset } from '../../src/data/index.js';
import { compiled, root, typeErrors } from './typescript.js';

const examples = join(root, 'examples');
const folder = mkdtempSync(join(tmpdir(), 'pod-dist-examples-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Commands in examples/README.md, without `npx pod-dist`. */
function commands(): string[] {
  const text = readFileSync(join(examples, 'README.md'), 'utf8');
  const blocks = remark()
    .parse(text)
    .children.flatMap((node) => (node.type === 'code' ? node.value.split('\n') : []));
  return blocks.flatMap((line) => /^npx pod-dist (.*)$/.exec(line)?.[1] ?? []);
}

/** Writes digits of these classes as image files, `<name>/<split>/<class>/<n>.png`; returns their paths. */
async function writeDigits(name: string, classes: readonly number[], count: number): Promise<string[]> {
  const dataset = await openDataset(datasets.schema.parse({ name: 'digits' }), { seed: 1 });
  const written: string[] = [];
  for (const split of ['train', 'test'] as const) {
    const [height, width] = dataset.shape;
    for (const digit of classes) {
      const own = [...dataset.labels[split].keys()].filter((image) => dataset.labels[split][image] === digit);
      const batches = [Int32Array.from(own.slice(0, split === 'train' ? count : Math.ceil(count / 2)))];
      mkdirSync(join(folder, name, split, String(digit)), { recursive: true });
      for await (const batch of dataset.read({ split, batches, epoch: 0 })) {
        for (let image = 0; image < batch.count; image++) {
          const pixels = batch.images.subarray(image * height * width, (image + 1) * height * width);
          const raw = { width, height, channels: 1 } as const;
          const path = join(name, split, String(digit), `${image}.png`);
          await sharp(
            Uint8Array.from(pixels, (value) => 255 * value),
            { raw },
          )
            .png()
            .toFile(join(folder, path));
          written.push(path);
        }
      }
    }
  }
  return written;
}

describe('examples', () => {
  const ran = commands();
  let outputs: string[] = [];

  beforeAll(async () => {
    const images = await writeDigits('images', [0, 1, 2, 3], 8);
    const lines = images.map((path) => {
      const [, split, digit, file] = path.split('/');
      return `${split},digit ${digit},${split}/${digit}/${file}\n`;
    });
    writeFileSync(join(folder, 'images/list.csv'), lines.join(''));
    const strangers = await writeDigits('strangers', [8, 9], 2);
    await writeDigits('faces', [0, 1, 2, 3, 4], 4);
    await writeDigits('more-images', [0, 1, 2, 3, 4], 4);
    await sharp(join(folder, strangers[0])).toFile(join(folder, 'photo.png'));
    symlinkSync(examples, join(folder, 'examples'));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(root, join(folder, 'node_modules/pod-dist'));
    const program = readFileSync(join(examples, 'from-code/train.ts'), 'utf8');
    writeFileSync(join(folder, 'train.mjs'), compiled(program));
    const lists = ran.map((line) => [
      ...line.split(' '),
      ...(line.startsWith('launch') ? ['--epochs', '1', '--backend', 'wasm'] : []),
    ]);
    writeFileSync(
      join(folder, 'all.mjs'),
      `const { main } = await import(${JSON.stringify(pathToFileURL(join(root, 'dist/launcher/main.js')).href)});
for (const args of ${JSON.stringify(lists)}) {
  process.stdout.write('\\u0000');
  await main(args);
}
process.stdout.write('\\u0000');
process.argv[2] = '2';
await import('./train.mjs');
`,
    );
    const child = spawn(process.execPath, ['all.mjs'], { cwd: folder, timeout: 240_000 });
    let [output, errors] = ['', ''];
    child.stdout.on('data', (part: Buffer) => (output += part.toString()));
    child.stderr.on('data', (part: Buffer) => (errors += part.toString()));
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code, output + errors).toBe(0);
    outputs = output.split('\0').slice(1);
  });

  /** Output of the command that starts with `start`. */
  const printed = (start: string) => outputs[ran.findIndex((line) => line.startsWith(start))];

  it('all have commands in examples/README.md', () => {
    const folders = readdirSync(examples, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const readme = readFileSync(join(examples, 'README.md'), 'utf8');
    for (const { name } of folders) expect(readme).toContain(`examples/${name}/`);
    expect(ran.length).toBeGreaterThan(11);
    expect(outputs).toHaveLength(ran.length + 1);
  });

  it('image-folder and faces can be trained, reported, evaluated and used to predict', () => {
    expect(printed('launch --config examples/image-folder')).toMatch(/2 workers[^]*\/16\)/);
    expect(readdirSync(join(folder, 'runs/images'))).toContain('report.html');
    expect(printed('predict --checkpoint runs/images')).toMatch(
      /^photo\.png: [0-3] [^,]*, [0-3] [^,]*, [0-3] /,
    );
    expect(printed('evaluate --checkpoint runs/faces')).toMatch(/10 test images, 5 classes[^]*unknown/);
    expect(printed('predict --checkpoint runs/faces').trim().split('\n')).toHaveLength(6);
  });

  it('fine-tune trains with more classes', () => {
    expect(printed('launch --config examples/fine-tune/more')).toMatch(/2 workers[^]*\/10\)/);
    expect(printed('evaluate --checkpoint runs/more-classes')).toMatch(/10 test images, 5 classes/);
  });

  it('own-backbone, own-loss and own-data-set train and evaluate', () => {
    expect(readdirSync(join(folder, 'digits-onnx'))).toContain('model.onnx');
    expect(printed('config settings loss')).toMatch(/loss\.weight[^]*squared-distance/);
    expect(printed('evaluate --checkpoint runs/own-loss')).toContain('360 test images');
    expect(printed('evaluate --checkpoint runs/own-data-set')).toMatch(
      /"digit 3"[^]*"total":16|"total":16[^]*"digit 3"/,
    );
  });

  it('typescript trains with the settings that its recipe computes', () => {
    expect(printed('launch --config examples/typescript')).toMatch(
      /typescript: 1437 images, 1 epoch, 2 workers/,
    );
    expect(readFileSync(join(folder, 'runs/typescript/config.yaml'), 'utf8')).toMatch(
      /epochs:\n +- 15\n +- 23\n/,
    );
  });

  it('from-code matches the types of the package, calls hooks and predicts', () => {
    const wrong = join(folder, 'wrong.mts');
    writeFileSync(
      wrong,
      "import { defineRecipe } from 'pod-dist';\ndefineRecipe({ extends: 'digits', loss: { name: 'pood' } });\n",
    );
    const files = ['from-code/train.ts', 'typescript/recipe.ts'].map((file) => join(examples, file));
    expect(typeErrors([...files, wrong])).toEqual([expect.stringMatching(/wrong\.mts: .*"pood"/)]);
    const output = outputs.at(-1);
    expect(output).toMatch(/wrote .*epoch-0001\nepoch 1: loss [\d.]+, accuracy [\d.]+\n/);
    expect(output).toMatch(
      /\d+ of 16 test images in [\d.]+ s\naccuracy [\d.]+\nimages\/test\/0\/0\.png [0-3] /,
    );
  });
});
