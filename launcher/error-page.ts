import { fileURLToPath } from 'node:url';
import { everyCode, type ErrorCode } from '../src/util/error-codes.js';
import { readRegularText } from '../src/util/regular-file.js';

/** The page that explains every code; it is part of the package. */
const page = new URL('../../docs/errors.md', import.meta.url);
const mostBytes = 2 ** 20;

/** Where the page explains a code. */
export function addressOf(code: ErrorCode): string {
  return `${page.href}#${code.toLowerCase()}`;
}

/** What a code stands for, in a few words. */
export function meaningOf(code: ErrorCode): string {
  return everyCode().find(([one]) => one === code)?.[1] ?? '';
}

/** The entry of a code as plain text; its meaning alone where the documents are not installed. */
export function entryOf(code: ErrorCode): string {
  try {
    const entry = sectionOf(readRegularText(fileURLToPath(page), { mostBytes }), code);
    if (entry !== undefined) return plain(entry);
  } catch {
    // Tools that make node_modules smaller remove documents.
  }
  return `${meaningOf(code)}\n`;
}

function sectionOf(text: string, code: ErrorCode): string | undefined {
  const heading = `\n### ${code}\n`;
  const at = text.indexOf(heading);
  if (at < 0) return undefined;
  const section = text.slice(at + heading.length);
  const end = section.search(/^##/m);
  return `${(end < 0 ? section : section.slice(0, end)).trim()}\n`;
}

/** Markdown without fences, backticks and targets of links; what was fenced is indented. */
function plain(markdown: string): string {
  return markdown
    .replace(/```\w*\n([^]*?)```\n/g, (_, code: string) => code.replace(/^/gm, '  ').trimEnd() + '\n')
    .replace(/\[([^\]]+)\]\(([^)#]+\.md)[^)]*\)/g, '$1 (docs/$2)')
    .replaceAll('`', '');
}
