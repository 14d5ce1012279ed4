import { spawn, type ChildProcess } from 'node:child_process';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../util/errors.js';
import { isLoopback } from '../../transport/addresses.js';

/** Exit codes by which the shell on a host says what is missing there, and the advice. */
const missing: Readonly<Record<number, (place: Place) => string>> = {
  91: ({ folder }) =>
    `it has no folder ${folder}, in which this command runs: start from a folder that all hosts have`,
  92: ({ node }) => `it has no Node.js, neither ${node} nor on the PATH of ssh: install Node.js 20 or later`,
  93: ({ cli }) => `it has no pod-dist at ${cli}: install it at the same path on every host`,
};

/** What `ssh` says where it does not come through, and what helps. */
const troubles: readonly [said: RegExp, advice: string][] = [
  [
    /Permission denied/i,
    'ssh is refused: let your key in without a password (ssh-copy-id), and try ssh HOST true',
  ],
  [
    /Host key verification failed/i,
    'its host key is not known: log in once with ssh HOST, or add it to known_hosts',
  ],
  [/Could not resolve hostname/i, 'its name is not known: use another name or its address'],
  [/Connection refused/i, 'no ssh server answers there: start one, or give its port in ~/.ssh/config'],
  [/timed out|No route to host|unreachable/i, 'it does not answer: is it up, and is port 22 open?'],
];

/** Where pod-dist is to be found on every host. */
interface Place {
  folder: string;
  node: string;
  cli: string;
}

function ownPlace(): Place {
  const cli = fileURLToPath(new URL('../../../launcher/cli.js', import.meta.url));
  return { folder: process.cwd(), node: process.execPath, cli };
}

/** Whether a host of a list is this one. */
export function isHere(name: string): boolean {
  return isLoopback(name) || name === hostname();
}

/** Milliseconds and tries after which `ssh` gives up. */
const options = [
  ...['BatchMode=yes', 'ConnectTimeout=10', 'ControlMaster=no', 'ControlPath=none', 'ForwardAgent=no'],
  ...['ForwardX11=no', 'ServerAliveInterval=5', 'ServerAliveCountMax=3', 'LogLevel=ERROR'],
];

/**
 * Starts the process on a host that works for the launcher: by `ssh`, here without. Nothing but paths stands on its command
 * line. The process gets no signals of this terminal, and ends once its standard input does.
 */
export function reachHost(name: string, ssh: readonly string[]): ChildProcess {
  const { folder, node, cli } = ownPlace();
  const stdio = ['pipe', 'pipe', 'pipe'] as const;
  if (isHere(name)) return spawn(node, [cli, 'host'], { stdio: [...stdio], detached: true });
  const script = [
    `cd ${quoted(folder)} 2>/dev/null || exit 91`,
    `node=${quoted(node)}`,
    '[ -x "$node" ] || node=$(command -v node) || exit 92',
    `[ -f ${quoted(cli)} ] || exit 93`,
    `exec "$node" ${quoted(cli)} host`,
  ].join('; ');
  const [program = 'ssh', ...before] = ssh;
  const flags = options.flatMap((option) => ['-o', option]);
  const args = [...before, '-T', ...flags, '--', name, `exec sh -c ${quoted(script)}`];
  return spawn(program, args, { stdio: [...stdio], detached: true });
}

/** Why a host's process has ended before it said anything, in one line without the host's name. */
export function whyNotReached(code: number | null, said: string, error?: Error): string {
  const place = ownPlace();
  if (error) return `ssh cannot be started: ${messageOf(error)}`;
  const explain = code === null ? undefined : missing[code];
  if (explain) return explain(place);
  const last = said.trim().split('\n').at(-1) ?? '';
  const [, advice] = troubles.find(([pattern]) => pattern.test(said)) ?? [];
  const how = last === '' ? `ssh has ended with exit code ${code}` : last;
  return `${advice ?? 'pod-dist does not start there'} (${how})`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
