/**
 * Text from files, folders, peers and data may hold characters that a terminal or a page obeys instead of showing them:
 * control characters (C0, C1, DEL; escape sequences begin with them), separators of lines, and marks that turn the
 * direction of writing. Each is shown as `\u` and its number, which JSON and YAML in double quotes read back as the
 * character.
 */
const controls = '\\u0000-\\u001f\\u007f-\\u009f';
const separators = '\\u2028\\u2029';
const directions = '\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069';
const unprintable = new RegExp(`[${controls}${separators}${directions}\\ufeff]`, 'g');

/** Text on one line, such as a name or a message, with every invisible character escaped. */
export function printable(text: string): string {
  return text.replace(unprintable, escaped);
}

/** Like `printable` for text of several lines: line ends and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(unprintable, (character) =>
    character === '\n' || character === '\t' ? character : escaped(character),
  );
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
