export type Row = Record<string, string | number | boolean | undefined>;

export interface PartResult {
  name: string;
  kind: string;
  rows?: Row[];
  /** Why there are no rows. */
  fault?: string;
  seconds?: number;
}

export interface Evidence {
  date: string;
  node: string;
  backends: string[];
  parts: PartResult[];
}

/** The evidence as a page of Markdown: a table for each part. */
export function pageOf({ date, node, backends, parts }: Evidence): string {
  const head = [
    '# pod-dist on a GPU',
    '',
    `${date}, Node.js ${node}, backends ${backends.join(', ')}: \`benchmarks/gpu.sh\`.`,
  ];
  return `${[...head, ...parts.flatMap(sectionOf)].join('\n')}\n`;
}

function sectionOf({ name, rows, fault, seconds = 0 }: PartResult): string[] {
  const head = ['', `## ${name}`, ''];
  if (!rows) return [...head, `Not measured: ${fault ?? 'unknown'} (${seconds.toFixed(0)} s).`];
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const body = rows.map((row) => line(columns.map((column) => shown(row[column]))));
  return [...head, line(columns), line(columns.map(() => '---')), ...body, '', `${seconds.toFixed(0)} s.`];
}

function shown(value: Row[string]): string {
  if (typeof value !== 'number') return String(value ?? '').replaceAll('|', '/');
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}
