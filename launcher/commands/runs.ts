import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { listRuns, type ListedRun, type RunList } from '../../src/record/run-list.js';
import { describeDuration } from '../../src/util/duration.js';
import { largest } from '../../src/util/extremes.js';
import { printable, printableLines } from '../../src/util/printable.js';
import { plainTable } from '../plain-table.js';
import { summaries } from '../summaries.js';

const orders = ['date', 'accuracy', 'name'] as const;

interface RunsArguments {
  folder: string;
  sort: (typeof orders)[number];
  allSettings: boolean;
  json: boolean;
}

export const runsCommand: CommandModule<object, RunsArguments> = {
  command: 'runs [folder]',
  describe: summaries.runs,
  builder: (yargs) =>
    yargs
      .positional('folder', { type: 'string', default: 'runs', describe: 'folder that holds run folders' })
      .option('sort', {
        choices: orders,
        default: 'date' as const,
        requiresArg: true,
        describe: 'which come first: those written to last, the most accurate ones, or by name',
      })
      .option('all-settings', {
        type: 'boolean',
        default: false,
        describe: 'show every setting that differs, however wide the table gets',
      })
      .option('json', { type: 'boolean', default: false, describe: 'print them as JSON, and nothing else' })
      .example('$0 runs', 'the runs below runs/, the newest first')
      .example(
        '$0 runs sweeps/rates --sort accuracy --all-settings',
        'which settings have given what',
      ) as unknown as Argv<RunsArguments>,
  handler: list,
};

function list({ folder, sort, allSettings, json }: ArgumentsCamelCase<RunsArguments>): void {
  const found = listRuns(folder);
  const runs = found.runs.toSorted(compare[sort]);
  if (json) {
    const shown = runs.map((run) => ({ ...run, settings: Object.fromEntries(run.settings) }));
    process.stdout.write(`${JSON.stringify({ ...found, runs: shown })}\n`);
    return;
  }
  if (found.broken.length > 0) process.stderr.write(`${describeBroken(found)}\n`);
  if (runs.length === 0) process.stdout.write(printableLines(`no runs below ${folder}\n`));
  else process.stdout.write(printableLines(describe(runs, found, allSettings)));
}

const compare: Readonly<Record<RunsArguments['sort'], (a: ListedRun, b: ListedRun) => number>> = {
  date: (a, b) => Date.parse(b.date) - Date.parse(a.date),
  accuracy: (a, b) => (b.bestAccuracy ?? -1) - (a.bestAccuracy ?? -1),
  name: (a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }),
};

const mostNamed = 5;

function describeBroken({ broken }: RunList): string {
  const named = broken.slice(0, mostNamed).map(({ folder, reason }) => `${folder} (${reason})`);
  const more = broken.length > mostNamed ? [`${broken.length - mostNamed} more`] : [];
  return printable(`left out: ${[...named, ...more].join(', ')}`);
}

const head = ['run', 'date', 'state', 'workers', 'backend', 'epochs', 'accuracy', 'best', 'time'];

/** A table of a line a run, and a line that names the settings which have no column. */
function describe(runs: readonly ListedRun[], { differing }: RunList, allSettings: boolean): string {
  const width = process.stdout.columns ?? defaultWidth;
  const columns = [head, ...runs.map(cells)];
  const widthOf = (column: readonly string[]) => largest(column.map((cell) => cell.length)) + 2;
  const settings = differing.map((path) => [path, ...runs.map((run) => shown(run.settings.get(path)))]);
  let left = width - head.reduce((sum, _, index) => sum + widthOf(columns.map((row) => row[index] ?? '')), 0);
  const fitting = settings.filter((column, index) => {
    if (allSettings) return true;
    left -= widthOf(column);
    return left >= 0 || index < leastSettings;
  });
  const rows = columns.map((row, index) => [...row, ...fitting.map((column) => column[index] ?? '')]);
  const rest = differing.filter((path) => !fitting.some(([shown]) => shown === path));
  const more =
    rest.length === 0
      ? ''
      : `\n${rest.length} more setting${rest.length > 1 ? 's differ' : ' differs'} (--all-settings shows them): ${rest.slice(0, mostNamed).join(', ')}${rest.length > mostNamed ? ', ...' : ''}`;
  return `${plainTable(rows.map((row) => row.map(printable)))}${more}\n`;
}

const defaultWidth = 160;
/** Settings that have a column however narrow the terminal is. */
const leastSettings = 2;
/** Characters of a setting's value. */
const mostCharacters = 24;

function cells(run: ListedRun): string[] {
  const { name, date, state, workers, backend, epochs, wantedEpochs, accuracy, bestAccuracy, seconds } = run;
  const when = new Date(date).toLocaleString('sv-SE', { dateStyle: 'short', timeStyle: 'short' });
  return [
    ...[name, when, state, `${workers ?? ''}`, backend ?? ''],
    wantedEpochs === undefined || wantedEpochs === epochs ? `${epochs}` : `${epochs} of ${wantedEpochs}`,
    ...[percent(accuracy), percent(bestAccuracy), seconds === undefined ? '' : describeDuration(seconds, 60)],
  ];
}

function percent(share: number | undefined): string {
  return share === undefined ? '' : `${(100 * share).toFixed(2)} %`;
}

function shown(value: unknown): string {
  if (value === undefined) return '-';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters - 3)}...` : text;
}
