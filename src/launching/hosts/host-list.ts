import { mostWorkers } from '../../util/bounds.js';
import { UserError } from '../../util/errors.js';
import { readRegularText } from '../../util/regular-file.js';

/** A host of a job, as `ssh` takes its name, and the number of workers on it. */
export interface HostSlots {
  name: string;
  workers: number;
}

/** What `ssh` may take for an option, or a shell for more than one word, is no name. */
const entry = /^((?:[\w.-]+@)?(?:[A-Za-z0-9][\w.-]*|\[[0-9A-Fa-f:.]+\]))(?::(\d+))?$/;
const mostHosts = 1024;

/**
 * Reads hosts such as `a:4,user@b:4,c`: one worker where no number is given.
 *
 * @throws UserError `USAGE`
 */
export function readHosts(text: string): HostSlots[] {
  const entries = text.split(',').map((one) => one.trim());
  return checked(
    entries.map((one) => readEntry(one, `--hosts ${text}`)),
    `--hosts ${text}`,
  );
}

/**
 * Reads a file with a host a line: `a slots=4` as Open MPI has it, `a:4` as MPICH and Horovod do; what follows # is not read.
 *
 * @throws UserError `FILE_UNUSABLE` or `USAGE`
 */
export function readHostfile(file: string): HostSlots[] {
  const hosts = readRegularText(file, { mostBytes: 1_000_000 })
    .split('\n')
    .flatMap((line, index) => {
      const [name, ...more] = line.replace(/#.*/, '').trim().split(/\s+/);
      if (name === undefined || name === '') return [];
      const where = `--hostfile ${file}, line ${index + 1}`;
      const slots = more.find((word) => /^(?:slots|max[-_]slots)=/.test(word));
      if (more.length > 0 && (slots === undefined || name.includes(':') || more.length > 2))
        throw wrong(where, line.trim());
      return [readEntry(slots === undefined ? name : `${name}:${slots.split('=')[1]}`, where)];
    });
  return checked(hosts, `--hostfile ${file}`);
}

function readEntry(text: string, where: string): HostSlots {
  const [, name, count = '1'] = entry.exec(text) ?? [];
  const workers = Number(count);
  if (name === undefined || workers < 1) throw wrong(where, text);
  return { name: name.replace(/\[(.*)\]/, '$1'), workers };
}

function checked(hosts: HostSlots[], where: string): HostSlots[] {
  const twice = hosts.find(({ name }, index) => hosts.findIndex((other) => other.name === name) < index);
  if (twice)
    throw new UserError(
      'USAGE',
      `${where}: ${twice.name} is there twice: give it once, with all its workers`,
    );
  const workers = hosts.reduce((sum, one) => sum + one.workers, 0);
  if (hosts.length === 0) throw new UserError('USAGE', `${where} names no host: give some, such as a:4,b:4`);
  if (hosts.length > mostHosts || workers > mostWorkers)
    throw new UserError(
      'USAGE',
      `${where}: ${hosts.length} hosts with ${workers} workers are more than ${mostWorkers}`,
    );
  return hosts;
}

function wrong(where: string, text: string): UserError {
  return new UserError(
    'USAGE',
    `${where}: ${text} is no host: give its name and the number of workers on it, such as a:4`,
  );
}
