import { statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { packBugReport } from '../../src/launching/bug-report.js';
import { printableLines } from '../../src/util/printable.js';
import { examineMachine } from '../doctor/machine.js';
import { version } from '../version.js';

export interface BugReportArguments {
  run: string;
  out?: string;
  json: boolean;
}

export async function bugreport({ run, out, json }: BugReportArguments): Promise<void> {
  const date = new Date().toISOString().slice(0, 10);
  const file = out ?? `bugreport-${basename(resolve(run))}-${date}.tar.gz`;
  const machine = { podDist: version(), ...(await examineMachine()) };
  const files = packBugReport({ run, out: file, machine });
  const { size } = statSync(file);
  if (json) {
    process.stdout.write(`${JSON.stringify({ file, bytes: size, files })}\n`);
    return;
  }
  const lines = [
    `${file}: ${(size / 1000).toFixed(0)} kB, ${files.length} files: ${files.join(', ')}`,
    'no weights, images or evaluations; secrets, and names of users, hosts and classes, are replaced',
    `read it before you send it: tar -xzf ${file}`,
  ];
  process.stdout.write(printableLines(`${lines.join('\n')}\n`));
}
