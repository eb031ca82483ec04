import type { HeaderValue, IncomingRecord } from "./driver.js";

/** What a record takes beside its bytes, roughly. */
const RECORD_BYTES = 200;

/** Bytes in memory, roughly. Of a failed record the headers are most of it. */
export function sizeOf({ key, value, headers }: IncomingRecord): number {
  let bytes = RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) bytes += sizeOfHeader(headers[name]);
  return bytes;
}

function sizeOfHeader(value: HeaderValue | undefined): number {
  if (value === undefined || typeof value === "string" || Buffer.isBuffer(value)) return value?.length ?? 0;
  return value.reduce((sum, each) => sum + each.length, 0);
}

/** A copy that does not keep the whole fetch in memory: what waits for its time may wait for long. */
export function detached(record: IncomingRecord): IncomingRecord {
  const { key, value, headers } = record;
  const copied = Object.entries(headers).map(([name, header]) => [name, detachedHeader(header)]);
  return { ...record, key: key && Buffer.from(key), value: value && Buffer.from(value), headers: Object.fromEntries(copied) };
}

function detachedHeader(value: HeaderValue): HeaderValue {
  if (typeof value === "string") return value;
  return Buffer.isBuffer(value) ? Buffer.from(value) : value.map((each) => (typeof each === "string" ? each : Buffer.from(each)));
}
