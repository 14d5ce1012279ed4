import {
  Composer,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  Parser,
  type CST,
  type Document,
  type ParsedNode,
} from 'yaml';
import { UserError } from '../util/errors.js';
import type { Places } from './layer.js';

/** Deepest nesting of sections that is allowed; a recipe has four levels. */
const mostDepth = 50;
/** Errors of the parser whose messages do not repeat the text. */
const plainErrors = new Set([
  'BAD_INDENT',
  'BLOCK_AS_IMPLICIT_KEY',
  'BLOCK_IN_FLOW',
  'MISSING_CHAR',
  'MULTILINE_IMPLICIT_KEY',
  'MULTIPLE_ANCHORS',
  'MULTIPLE_TAGS',
  'TAB_AS_INDENT',
]);

export interface YamlText {
  value: unknown;
  /** `line:column` of each key and list entry, by its path. */
  places: Places;
}

/**
 * The value of a YAML text, and where each part of it stands. The text is first cut into tokens, which takes no
 * recursion, so that text nested without end is refused before it is composed. What an error says repeats nothing of the
 * text, which may be a file that was named by mistake.
 *
 * @throws UserError `CONFIG_INVALID`: `complaint` and what is wrong with the text, in one line
 */
export function parseYaml(text: string, complaint: string): YamlText {
  const lines = new LineCounter();
  const fail = (reason: string, offset?: number) => {
    const { line, col } = offset === undefined ? { line: 0, col: 0 } : lines.linePos(offset);
    const at = offset === undefined ? '' : ` at line ${line}, column ${col}`;
    return new UserError('CONFIG_INVALID', `${complaint}: ${reason}${at}`);
  };
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  const deep = tooDeep(tokens);
  if (deep) throw fail(`more than ${mostDepth} levels are nested`, deep.offset);
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false, logLevel: 'silent' });
  const [document, another] = composer.compose(tokens, true, text.length);
  if (!document) throw fail('it is empty');
  if (another) throw fail('a second document begins', another.range[0]);
  const [error] = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
  if (error) throw fail(plainErrors.has(error.code) ? error.message : words(error.code), error.pos[0]);
  const places = new Map<string, string>();
  const repeated = locate(document.contents, lines, places);
  if (repeated !== undefined) throw fail('a key is given twice', repeated);
  return { value: toValue(document, fail), places };
}

function toValue(document: Document.Parsed, fail: (reason: string) => UserError): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    JSON.stringify(value);
    return value;
  } catch (error) {
    if (error instanceof ReferenceError) throw fail('its aliases stand for too much, or for nothing');
    throw fail('its aliases lead in a circle');
  }
}

function words(code: string): string {
  switch (code) {
    case 'BAD_ALIAS':
    case 'ALIAS_PROPS':
      return 'an alias without its anchor';
    case 'TAG_RESOLVE_FAILED':
      return 'a tag that is not known';
    case 'BAD_DQ_ESCAPE':
      return 'an escape that is not known, in double quotes (\\\\ is a backslash)';
    case 'KEY_OVER_1024_CHARS':
      return 'a key of more than 1,024 characters';
    case 'MULTIPLE_DOCS':
      return 'a second document begins';
    default:
      return 'not as YAML is written';
  }
}

/** The first token that is nested deeper than is allowed. */
function tooDeep(tokens: readonly CST.Token[]): CST.Token | undefined {
  let level: (CST.Token | null | undefined)[] = [...tokens];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > mostDepth) return level.find((token) => token) ?? undefined;
    level = level.flatMap((token) => {
      if (!token) return [];
      if (token.type === 'document') return [token.value];
      return 'items' in token
        ? token.items.flatMap(({ key, value }: CST.CollectionItem) => [key, value])
        : [];
    });
  }
  return undefined;
}

/** Notes where keys and list entries stand; gives the offset of a key that its section has twice. */
function locate(
  node: ParsedNode | null,
  lines: LineCounter,
  places: Map<string, string>,
  path = '',
): number | undefined {
  const note = (key: string, offset: number) => {
    const { line, col } = lines.linePos(offset);
    const below = path ? `${path}.${key}` : key;
    places.set(below, `${line}:${col}`);
    return below;
  };
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) {
      const repeated = locate(
        item as ParsedNode,
        lines,
        places,
        note(String(index), (item as ParsedNode).range[0]),
      );
      if (repeated !== undefined) return repeated;
    }
  }
  if (!isMap(node)) return undefined;
  const seen = new Set<string>();
  for (const { key, value } of node.items as { key: ParsedNode; value: ParsedNode | null }[]) {
    if (isAlias(key) || !isScalar(key)) continue;
    const name = String(key.value);
    if (seen.has(name)) return key.range[0];
    seen.add(name);
    const repeated = locate(value, lines, places, note(name, key.range[0]));
    if (repeated !== undefined) return repeated;
  }
  return undefined;
}
