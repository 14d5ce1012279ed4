import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import type { JobEnd } from '../../src/record/job-end.js';
import { readRunStatus, type RunStatus } from '../../src/record/run-status.js';
import { printableLines } from '../../src/util/printable.js';
import { summaries } from '../summaries.js';

interface StatusArguments {
  run: string;
  json: boolean;
}

export const statusCommand: CommandModule<object, StatusArguments> = {
  command: 'status <run>',
  describe: summaries.status,
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'run folder' })
      .option('json', { type: 'boolean', default: false, describe: 'print it as JSON, and nothing else' })
      .example(
        '$0 status runs/digits',
        'who trains it, how far it has come, faults so far',
      ) as Argv<StatusArguments>,
  handler: ({ run, json }: ArgumentsCamelCase<StatusArguments>) => {
    const status = readRunStatus(run);
    process.stdout.write(json ? `${JSON.stringify(status)}\n` : printableLines(describe(status)));
  },
};

function describe(status: RunStatus): string {
  const { folder, state, holder, group, ended, incidents, lastIncident: last } = status;
  const where = holder ? `, process ${holder.pid} on host ${holder.host}, since ${holder.since}` : '';
  const lines = [`${folder}: ${state}${where}`, progressOf(status)];
  if (group) {
    lines.push(`generation ${group.generation}, ${group.ranks.length} workers`);
    for (const { rank, host, pid } of group.ranks)
      lines.push(`  rank ${rank}: process ${pid} on host ${host}`);
    for (const { host, pid } of group.spares) lines.push(`  spare: process ${pid} on host ${host}`);
  }
  if (last) {
    const who = last.rank === undefined ? '' : `rank ${last.rank}: `;
    lines.push(`incidents so far: ${incidents}; the last at ${last.time}: ${who}${last.cause}`);
  }
  if (ended) lines.push(`it has ended: ${describeEnd(ended)}`);
  return `${lines.join('\n')}\n`;
}

/** Why a run has ended before its time. */
function describeEnd({ kind, code, message }: JobEnd): string {
  return kind === 'failure' ? `${message} (${code})` : message;
}

function progressOf(status: RunStatus): string {
  const { state, epochs, wantedEpochs, steps, loss, evalAccuracy, samplesPerSecond } = status;
  const parts = [
    `${epochs}${wantedEpochs === undefined ? '' : ` of ${wantedEpochs}`} epochs`,
    `${steps} steps`,
    loss !== undefined && `loss ${loss.toFixed(4)}`,
    evalAccuracy !== undefined && `accuracy ${(100 * evalAccuracy).toFixed(2)} %`,
    state === 'running' && samplesPerSecond !== undefined && `${samplesPerSecond.toFixed(0)} images/s`,
  ];
  return parts.filter(Boolean).join(', ');
}
