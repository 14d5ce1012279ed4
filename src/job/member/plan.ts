import { folderScope, MeetingFolder, meetingFolderName } from '../../transport/meeting-folder.js';
import { tcpAddress } from '../../transport/addresses.js';
import { findUserFolder } from '../../transport/user-folder.js';
import { PodDistError } from '../../util/errors.js';
import type { CoordinatorMessage } from '../control/protocol.js';
import { successionOf, type Succession } from './succession.js';
import type { ThreadData } from './thread-protocol.js';

/** What the coordinator tells a rank about its place in a configuration. */
export type Plan = Extract<CoordinatorMessage, { type: 'plan' }>;

/**
 * Refuses a place that no coordinator of this job gives.
 *
 * @throws PodDistError `PROTOCOL_ERROR`
 */
export function checkPlan(
  { hosts, rank, worldSize, start }: Pick<Plan, 'hosts' | 'rank' | 'worldSize' | 'start'>,
  own: Pick<ThreadData, 'rank' | 'worldSize' | 'elastic'>,
): void {
  const mine = own.elastic ? rank < worldSize : rank === own.rank && worldSize === own.worldSize;
  const ranks = start ? [start.root, ...start.holders] : [];
  if (mine && hosts.length === worldSize && ranks.every((one) => one < worldSize)) return;
  throw new PodDistError(
    'PROTOCOL_ERROR',
    `the coordinator gives rank ${rank} of ${worldSize} to this worker`,
  );
}

/** Where the job goes on after the loss of the coordinator that gives this plan; undefined: it ends with it. */
export function successionIn(
  { succession }: Pick<Plan, 'succession'>,
  { token, folder, address }: Pick<ThreadData, 'token' | 'folder' | 'address'>,
): Succession | undefined {
  if (!succession) return undefined;
  const { port } = new URL(address);
  const hosts = [...new Set(succession.standby.filter(Boolean))];
  const addresses = hosts.map((host) => tcpAddress(host, port));
  return successionOf([folder, succession.folder], addresses, token);
}

/**
 * Makes the folder in which the ranks of this host meet; undefined where they need none. Its name is derived from the
 * secret, and never sent.
 */
export async function meetingFolderIn(
  { transport, hosts, jobId, rank, generation, secret }: Plan,
  notify: (line: string) => void,
): Promise<MeetingFolder | undefined> {
  const alone = hosts.filter((other) => other === hosts[rank]).length === 1;
  if (transport === 'tcp' || alone) return undefined;
  const name = meetingFolderName(secret, folderScope(jobId, generation));
  return MeetingFolder.make(name, rank, () => findUserFolder(notify));
}
