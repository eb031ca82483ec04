import type { IncomingRecord } from "./driver.js";

/** What a record takes beside its bytes, roughly. */
const RECORD_BYTES = 200;

/** Bytes in memory, roughly. */
export function sizeOf({ key, value }: IncomingRecord): number {
  return RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
}

/** A copy that does not keep the whole fetch in memory: what waits for its time may wait for long. */
export function detached(record: IncomingRecord): IncomingRecord {
  const { key, value, headers } = record;
  const copied = Object.entries(headers).map(([name, header]) => [name, Buffer.isBuffer(header) ? Buffer.from(header) : header]);
  return { ...record, key: key && Buffer.from(key), value: value && Buffer.from(value), headers: Object.fromEntries(copied) };
}
