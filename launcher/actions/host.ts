import { goOnWithoutConsole } from '../../src/console/console.js';
import { serveLauncher } from '../../src/launching/hosts/host-process.js';
import { leaveSignalsToLauncher } from '../../src/util/signals.js';
import { version } from '../version.js';

export async function host(): Promise<void> {
  goOnWithoutConsole();
  leaveSignalsToLauncher();
  await serveLauncher(version());
}
