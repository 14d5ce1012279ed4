import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Rebuilds the bundles, which processes and threads of tests start from, if a source is newer. */
export function setup(): void {
  const built = statSync(join(root, 'dist/bundle/index.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const isNewer = ['src', 'launcher'].some((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).some(
      (file) => file.endsWith('.ts') && statSync(join(root, folder, file)).mtimeMs > built,
    ),
  );
  if (isNewer) execFileSync(process.execPath, ['scripts/bundle.js'], { cwd: root, stdio: 'inherit' });
}
