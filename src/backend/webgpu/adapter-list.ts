import { listAdapters } from './dawn.js';
import { reportOf } from '../../util/errors.js';

/** Run in a process of its own, since graphics drivers write to standard error and may crash: adapters as JSON. */
const answer = await listAdapters().catch(reportOf);
process.stdout.write(JSON.stringify(answer), () => process.exit());
