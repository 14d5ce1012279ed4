import { channelsBytes } from './channel.js';
import { CallRecord, recordBytes } from './call-record.js';

/** Bytes of an arena's buffer for commands: the channels of all streams, and the record of the call that the compute thread makes itself. */
export const controlBytes = channelsBytes + recordBytes;

export function callRecord(control: SharedArrayBuffer): CallRecord {
  return new CallRecord(control, channelsBytes);
}
