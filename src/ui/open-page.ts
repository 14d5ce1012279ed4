import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { escapeHtml } from '../util/escape-html.js';

/** Whether a browser that is opened here can be seen. */
export function hasDisplay(env: NodeJS.ProcessEnv = process.env, platform = process.platform): boolean {
  if (platform === 'linux') return Boolean(env.DISPLAY ?? env.WAYLAND_DISPLAY);
  return env.SSH_CONNECTION === undefined;
}

/**
 * Opens a link in the user's browser. The link's token must not be in a command line, which other users can see: the browser
 * opens a file of this user alone, which leads there. Rejects where no browser can be started.
 *
 * @returns removes the file
 */
export async function openPage(link: string): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-ui-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const file = join(folder, 'open.html');
  const target = escapeHtml(link);
  writeFileSync(
    file,
    `<!doctype html><meta http-equiv="refresh" content="0;url=${target}"><a href="${target}">pod-dist</a>\n`,
    { mode: 0o600 },
  );
  try {
    const { default: open, apps } = await import('open');
    // By its name where that is known: else whatever shows files of this kind.
    const browser = await open(file, { app: { name: apps.browser } }).catch(() => open(file));
    browser.on('error', remove);
  } catch (error) {
    remove();
    throw error;
  }
  return remove;
}
