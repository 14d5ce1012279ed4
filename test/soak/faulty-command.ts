/** The command with the faults of `inject.ts`, where it trains in its own process. */
import '../../launcher/cli.js';
import './inject.js';
