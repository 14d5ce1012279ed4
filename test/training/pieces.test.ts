import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { openPieces, type Pieces } from '../../src/training/pieces.js';

const longest = 1000;
const corrupt = expect.objectContaining({ code: 'SILENT_CORRUPTION' }) as Error;

/** The parts of a piece for snapshot `at`: two float32 and one float64. */
const parts = (at: number) => [Float32Array.of(at, 0.5), Float64Array.of(1 / at)];
const packed = (at: number) => Float32Array.of(at, 0.5, ...new Float32Array(Float64Array.of(1 / at).buffer));

describe('pieces', () => {
  let folder: string;
  let opened: number[] = [];
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
  afterEach(() => {
    opened.forEach((descriptor) => closeSync(descriptor));
    opened = [];
    rmSync(folder, { recursive: true, force: true });
  });

  /** 'kept': two ranks that have each other's file. 'sent': one rank that gets its own messages. */
  async function open(kind: string): Promise<{ own: Pieces; next: Pieces }> {
    if (kind === 'sent') {
      const own = await openPieces(new LocalCommunicator(), longest);
      return { own, next: own };
    }
    const files = [0, 1].map((rank) => join(folder, String(rank)));
    for (const file of files) writeFileSync(file, '');
    const [own, next] = await Promise.all(
      [0, 1].map((rank) => {
        const kept = { own: openSync(files[rank], 'r+'), before: openSync(files[1 - rank], 'r') };
        opened.push(...Object.values(kept));
        return openPieces(Object.assign(new LocalCommunicator(), { kept }), longest);
      }),
    );
    return { own, next };
  }

  it.each(['kept', 'sent'])(
    'hold the last two snapshots for their own rank and the next: %s',
    async (kind) => {
      const { own, next } = await open(kind);
      expect(next.hasCopy(3)).toBe(false);
      for (const at of [3, 5, 7]) await own.put(at, parts(at));
      own.settle();
      next.settle();
      for (const at of [5, 7]) {
        expect(next.hasCopy(at)).toBe(true);
        expect(own.get(at, 'own', 4)).toEqual(packed(at));
        expect(next.get(at, 'before', 4)).toEqual(packed(at));
      }
      expect(next.hasCopy(3)).toBe(false);
      own.close();
    },
  );

  it('can be read by the next rank after their own rank has closed its file', async () => {
    const { own, next } = await open('kept');
    await own.put(9, parts(9));
    own.close();
    expect(next.get(9, 'before', 4)).toEqual(packed(9));
    next.close();
  });

  it('are rejected when a bit has changed', async () => {
    const { own, next } = await open('kept');
    await own.put(9, parts(9));
    const file = join(folder, '0');
    const bytes = readFileSync(file);
    bytes[bytes.indexOf(Buffer.from(packed(9).buffer)) + 5] ^= 1;
    const written = openSync(file, 'r+');
    writeFileSync(written, bytes);
    closeSync(written);
    expect(() => next.get(9, 'before', 4)).toThrow(corrupt);
    expect(() => own.get(9, 'own', 4)).toThrow(corrupt);
    expect(() => own.get(8, 'own', 4)).toThrow(corrupt);
  });

  it('are rejected when they are longer than their slot', async () => {
    for (const kind of ['kept', 'sent']) {
      const { own } = await open(kind);
      await expect(own.put(1, [new Float32Array(longest + 1)])).rejects.toThrow(RangeError);
    }
  });
});
