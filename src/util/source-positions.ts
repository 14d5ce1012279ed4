import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { join } from 'node:path';

const maps = new Map<string, SourceMap | undefined>();

/** A stack with the sources of what lies in pod-dist's bundles, as `/path/src/training/step.ts:51:7`; `text`: as V8 or `inspect` writes it. */
export function withSources(text: string): string {
  return text.replace(
    /(?:file:\/\/)?(\/[^\s():]*\/bundle\/\w+\.cjs):(\d+):(\d+)/g,
    (whole, file: string, line: string, column: string) => {
      const found = mapOf(file)?.findEntry(Number(line) - 1, Number(column) - 1);
      if (found === undefined || !('originalSource' in found) || /node_modules/.test(found.originalSource))
        return whole;
      const source = join(file, '..', found.originalSource);
      return `${source}:${found.originalLine + 1}:${found.originalColumn + 1}`;
    },
  );
}

function mapOf(file: string): SourceMap | undefined {
  if (!maps.has(file)) {
    let map: SourceMap | undefined;
    try {
      map = new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')) as SourceMapPayload);
    } catch {
      map = undefined;
    }
    maps.set(file, map);
  }
  return maps.get(file);
}
