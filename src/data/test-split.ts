import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { isHidden, listFolder } from './list-folder.js';

/**
 * The folder of the test images: the one that the settings name; else `test`, or `val` where there is no `test` or
 * where `test` has no class folders and `val` has some, which a line then says.
 */
export async function testFolderOf(
  root: string,
  { testSplit, notify }: { testSplit?: string; notify?(line: string): void },
): Promise<string> {
  if (testSplit !== undefined) return isAbsolute(testSplit) ? testSplit : join(root, testSplit);
  const [test, val] = ['test', 'val'].map((name) => join(root, name));
  if (!existsSync(test)) return existsSync(val) ? val : test;
  if (!existsSync(val) || (await hasFolders(test)) || !(await hasFolders(val))) return test;
  notify?.(`${test} has no class folders: the test images are those of ${val} (data.testSplit chooses)`);
  return val;
}

async function hasFolders(folder: string): Promise<boolean> {
  const entries = await listFolder(folder, 'data.root must hold it').catch(() => []);
  return entries.some(({ name, kind }) => kind === 'folder' && !isHidden(name));
}
