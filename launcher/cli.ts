#!/usr/bin/env node
import { consoleWritten, guardConsole } from '../src/console/console.js';
import { guardOutput } from '../src/console/terminal.js';
import { guardSignals } from '../src/util/signals.js';
import { reportFailure } from './report-failure.js';

guardOutput();
guardConsole();
guardSignals();
process.on('uncaughtException', (error) => process.exit(reportFailure(error)));
// Everything else is loaded once the guards stand: until then SIGUSR1 would open Node's debugger.
import('./main.js')
  .then(({ main }) => main(process.argv.slice(2)))
  .then(() => consoleWritten())
  .then(() => process.exit())
  .catch((error: unknown) => process.exit(reportFailure(error)));
