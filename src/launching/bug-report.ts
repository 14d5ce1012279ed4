import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, hostname, tmpdir, userInfo } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { create } from 'tar';
import { givenSecret } from '../job/secret/read-secret.js';
import { evaluationSchema } from '../evaluation/schema.js';
import { readJobState } from '../record/job-state.js';
import { readRunStatus } from '../record/run-status.js';
import { messageOf, UserError } from '../util/errors.js';
import { Redactor, type Hidden } from '../util/redact.js';
import { openRegular, readRegularText, reasonOf } from '../util/regular-file.js';

export interface BugReportOptions {
  /** Run folder. */
  run: string;
  /** File to write, a `.tar.gz` that is not there yet. */
  out: string;
  /** Facts about this machine and pod-dist. */
  machine: object;
}

/** Most bytes of one log, from its end, and of the record, from both ends. */
const mostLogBytes = 256 * 1024;
const mostRecordBytes = 128 * 1024;
/** Most files of logs. */
const mostLogs = 200;
const mostFileBytes = 4 * 2 ** 20;
/** Where an unexpected error's stack lies, as a log names it. */
const stackFile = /its stack is in (\S+\/pod-dist-error-\w+\/stack\.txt)/g;

/**
 * Packs what somebody needs who looks for the cause of a run's trouble: what the machine is, the recipe as resolved, the job's
 * processes and faults, the ends of the logs, the record's beginning and end, and which files there are. No weights, no
 * images, no evaluation. The job's secret, names of users, hosts and classes, addresses, and the folders above the run and
 * the data are replaced by words such as `<host-1>`.
 *
 * @returns paths within the archive
 * @throws UserError `RUN_NOT_FOUND`, `FILE_UNUSABLE`
 */
export function packBugReport({ run, out, machine }: BugReportOptions): string[] {
  const status = readRunStatus(run);
  if (existsSync(out))
    throw new UserError('FILE_UNUSABLE', `${out} is there already: name another one with --out`);
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-bugreport-'));
  const name = basename(out).replace(/\.(tar\.gz|tgz)$/, '');
  const redactor = new Redactor(hiddenOf(run));
  const files: string[] = [];
  const add = (path: string, text: string) => {
    const clean = redactor.redact(text);
    mkdirSync(dirname(join(folder, name, path)), { recursive: true });
    writeFileSync(join(folder, name, path), clean);
    files.push(path);
  };
  try {
    add('machine.json', `${JSON.stringify(machine, undefined, 2)}\n`);
    add('status.json', `${JSON.stringify(status, undefined, 2)}\n`);
    add('files.txt', listing(run));
    for (const path of ['config.yaml', 'report.json', 'job/job.json', 'job/plan.json', 'job/incidents.jsonl'])
      addText(path, join(run, path), add);
    addEnds(join(run, 'metrics.jsonl'), add);
    addLogs(join(run, 'logs'), add);
    const partial = `${out}.${process.pid}.partial`;
    try {
      create({ gzip: true, cwd: folder, file: partial, portable: true, sync: true }, [name]);
      renameSync(partial, out);
    } catch (error) {
      rmSync(partial, { force: true });
      throw new UserError('FILE_UNUSABLE', `cannot write ${out}: ${reasonOf(error)}`);
    }
    return files;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Add = (path: string, text: string) => void;

/** Adds a file if it exists, or the reason why it cannot be read. */
function addText(path: string, file: string, add: Add): void {
  if (!existsSync(file)) return;
  try {
    add(path, readRegularText(file, { mostBytes: mostFileBytes }));
  } catch (error) {
    add(`${path}.unreadable`, `${messageOf(error)}\n`);
  }
}

/** Adds the beginning and the end of the record. */
function addEnds(file: string, add: Add): void {
  if (!existsSync(file)) return;
  const { size } = statSync(file);
  if (size <= 2 * mostRecordBytes) return addText('metrics.jsonl', file, add);
  add('metrics-begin.jsonl', part(file, 0, mostRecordBytes));
  add('metrics-end.jsonl', part(file, size - mostRecordBytes, mostRecordBytes));
}

/** Adds the ends of the logs, and the stacks that they name. */
function addLogs(folder: string, add: Add): void {
  const names = existsSync(folder) ? readdirSync(folder).toSorted() : [];
  const stacks = new Set<string>();
  for (const name of names.filter((one) => one.endsWith('.log')).slice(0, mostLogs)) {
    const file = join(folder, name);
    try {
      const { size } = statSync(file);
      const text = part(file, Math.max(0, size - mostLogBytes), mostLogBytes);
      add(`logs/${name}`, text);
      for (const [, stack = ''] of text.matchAll(stackFile)) stacks.add(stack);
    } catch (error) {
      add(`logs/${name}.unreadable`, `${messageOf(error)}\n`);
    }
  }
  for (const stack of stacks) addText(`stacks/${basename(dirname(stack))}.txt`, stack, add);
}

function part(file: string, from: number, bytes: number): string {
  const { descriptor } = openRegular(file);
  try {
    const buffer = Buffer.alloc(bytes);
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, bytes, from));
  } finally {
    closeSync(descriptor);
  }
}

/** Files of a run, with their bytes and times. */
function listing(run: string): string {
  const lines = readdirSync(run, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => {
      const file = join(entry.parentPath, entry.name);
      const stats = statSync(file, { throwIfNoEntry: false });
      return `${stats?.mtime.toISOString() ?? '-'} ${stats?.size ?? '-'} ${relative(run, file)}`;
    });
  return `${lines.toSorted().join('\n')}\n`;
}

/** Secrets and names that a run's files may hold. */
function hiddenOf(run: string): Hidden[] {
  const job = readJobState(run);
  const hosts = [job?.agent.host, ...(job?.ranks ?? []).map(({ host }) => host), hostname()];
  const secrets = [job?.secret, attempt(() => givenSecret(process.env))];
  const { username } = userInfo();
  const names = <T extends string | undefined>(all: readonly T[], word: string): Hidden[] =>
    [...new Set(all)].flatMap((text, index) => (text ? [{ text, instead: `<${word}-${index + 1}>` }] : []));
  return [
    ...secrets.flatMap((text) => (text ? [{ text, instead: '<secret>' }] : [])),
    ...names(hosts, 'host'),
    ...names(classNamesOf(run), 'class'),
    { text: dirname(resolve(run)), instead: '<runs>' },
    ...dataRootsOf(run).map((text) => ({ text, instead: '<data>' })),
    { text: process.cwd(), instead: '<here>' },
    { text: homedir(), instead: '<home>' },
    ...(username === 'root' ? [] : [{ text: username, instead: '<user>' }]),
  ];
}

/** Names of the classes that are words; digits say nothing. */
function classNamesOf(run: string): string[] {
  const read = () => readRegularText(join(run, 'evaluation.json'), { mostBytes: 64 * mostFileBytes });
  const names = attempt(() => evaluationSchema.parse(JSON.parse(read())).classNames) ?? [];
  return names.filter((name) => name.length > 2 && !/^\d+$/.test(name));
}

/** Folders of data that the recipe names. */
function dataRootsOf(run: string): string[] {
  const text = attempt(() => readRegularText(join(run, 'config.yaml'), { mostBytes: mostFileBytes })) ?? '';
  return [...text.matchAll(/^ +(?:root|testRoot|cache|file|from): (?:"(.+)"|(\/.+|.*\/.*))$/gm)].flatMap(
    ([, quoted, plain]) => quoted ?? plain ?? [],
  );
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
