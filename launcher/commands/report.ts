import type { Argv, ArgumentsCamelCase, CommandModule } from 'yargs';
import { writeReport } from '../../src/report/index.js';
import { summaries } from '../summaries.js';

interface ReportArguments {
  runs: string[];
  out?: string;
  json: boolean;
}

export const reportCommand: CommandModule<object, ReportArguments> = {
  command: 'report <runs..>',
  describe: summaries.report,
  builder: (yargs) =>
    yargs
      .positional('runs', { type: 'string', array: true, demandOption: true, describe: 'run folders' })
      .option('out', {
        type: 'string',
        alias: 'o',
        requiresArg: true,
        describe: 'the page (default: report.html in the run folder; in this folder for several runs)',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print what was written as JSON, and nothing else',
      })
      .example(
        '$0 report runs/digits',
        'curves, confusions, angles, times of one run: runs/digits/report.html',
      )
      .example(
        '$0 report runs/pod runs/softmax --out compared.html',
        'two runs side by side',
      ) as Argv<ReportArguments>,
  handler: report,
};

function report({ runs, out, json }: ArgumentsCamelCase<ReportArguments>): void {
  const written = writeReport(runs, out);
  if (json) {
    process.stdout.write(`${JSON.stringify(written)}\n`);
    return;
  }
  for (const gap of written.gaps) process.stderr.write(`${gap}\n`);
  process.stdout.write(
    `${written.file}: ${runs.length} run${runs.length > 1 ? 's' : ''}, ${(written.bytes / 1e6).toFixed(1)} MB\n`,
  );
}
