import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkExportFolder, jsonFile, writeExportFolder } from '../../src/export/files.js';

describe('an export folder', () => {
  let place: string;
  let out: string;
  beforeEach(() => {
    place = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    out = join(place, 'out');
  });
  afterEach(() => rmSync(place, { recursive: true }));

  it('is replaced as a whole with force, and otherwise rejected if it exists', async () => {
    await writeExportFolder(out, [jsonFile('classifier.json', 1), jsonFile('model.json', 2)]);
    await expect(checkExportFolder(out, false)).rejects.toMatchObject({ code: 'EXPORT_EXISTS' });
    await checkExportFolder(out, true);
    await writeExportFolder(out, [jsonFile('classifier.json', 3)]);
    expect(readdirSync(place)).toEqual(['out']);
    expect(readdirSync(out)).toEqual(['classifier.json']);
    expect(readFileSync(join(out, 'classifier.json'), 'utf8')).toBe('3\n');
  });

  it('is rejected if the folder has other files, even with force', async () => {
    writeFileSync(join(place, 'thesis.tex'), '');
    await expect(checkExportFolder(place, true)).rejects.toMatchObject({ code: 'EXPORT_EXISTS' });
  });

  it('stays unchanged if writing fails', async () => {
    await writeExportFolder(out, [jsonFile('classifier.json', 1)]);
    const broken = [jsonFile('classifier.json', 2), jsonFile('no/folder.json', 3)];
    await expect(writeExportFolder(out, broken)).rejects.toMatchObject({ code: 'EXPORT_FAILED' });
    expect(readdirSync(place)).toEqual(['out']);
    expect(readFileSync(join(out, 'classifier.json'), 'utf8')).toBe('1\n');
  });
});
