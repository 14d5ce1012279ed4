import { once } from 'node:events';
import { dirname } from 'node:path';
import { createRequire } from 'node:module';
import { chromium as playwright, type Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromium, serve } from './browser.js';
import { largestDifference, rowsOf, TrainedDigits } from './trained.js';
import { needs } from '../needs.js';

const require = createRequire(import.meta.url);
const distOf = (name: string) => dirname(require.resolve(name));

/** The parts of TensorFlow.js that the page uses. */
interface PageTf {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  wasm: { setWasmPaths(prefix: string): void };
  loadLayersModel(url: string): Promise<{ predict(input: unknown): { data(): Promise<Float32Array> } }>;
  tensor4d(values: number[], shape: number[]): unknown;
}

describe(
  'a tfjs export in a page of Chromium',
  needs('Chromium (apt install chromium, or set POD_DIST_CHROMIUM)', chromium),
  () => {
    let browser: Browser;
    let trained: TrainedDigits;
    beforeAll(async () => {
      browser = await playwright.launch({
        executablePath: chromium,
        args: ['--no-sandbox', '--enable-unsafe-swiftshader'],
      });
    });
    afterAll(() => browser.close());

    async function scoresInPage(backend: string, folder: string): Promise<number[][]> {
      const { url, server } = await serve({
        model: folder,
        tfjs: distOf('@tensorflow/tfjs/dist/tf.min.js'),
        wasm: distOf('@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js'),
      });
      const page = await browser.newPage();
      try {
        await page.goto(url);
        await page.addScriptTag({ url: '/tfjs/tf.min.js' });
        await page.addScriptTag({ url: '/wasm/tf-backend-wasm.min.js' });
        const scores = await page.evaluate(
          async ({ name, images, shape }) => {
            const { tf } = globalThis as unknown as { tf: PageTf };
            tf.wasm.setWasmPaths('/wasm/');
            if (!(await tf.setBackend(name))) throw new Error(`no backend ${name}`);
            await tf.ready();
            const model = await tf.loadLayersModel('/model/model.json');
            return Array.from(await model.predict(tf.tensor4d(images, shape)).data());
          },
          { name: backend, images: Array.from(trained.images), shape: [trained.count, 8, 8, 1] },
        );
        return rowsOf(scores, 10);
      } finally {
        await page.close();
        server.close();
        await once(server, 'close');
      }
    }

    describe.each([
      ['pod', 'cosines'],
      ['softmax', 'probabilities'],
    ])('trained with %s', (loss, kind) => {
      let folder: string;
      beforeAll(async () => {
        trained = await TrainedDigits.train(loss);
        folder = await trained.export('tfjs');
      });
      afterAll(() => trained.clear());

      it.each(['cpu', 'wasm', 'webgl'])(
        `gives the same classes and ${kind} with the backend %s`,
        async (backend) => {
          const scores = await scoresInPage(backend, folder);
          expect(largestDifference(scores, trained.scores)).toBeLessThan(1e-4);
          const best = (rows: number[][]) => rows.map((row) => row.indexOf(Math.max(...row)));
          expect(best(scores)).toEqual(best(trained.scores));
        },
      );
    });
  },
);
