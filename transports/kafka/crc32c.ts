/** Castagnoli's polynomial, its lowest bit first. */
const POLYNOMIAL = 0x82f6_3b78;
/** So many bytes are taken at a time, with a table for each. */
const STRIDE = 8;
const TABLE_SIZE = 256;

const TABLES: Int32Array = makeTables();

/**
 * The checksum that Kafka has in each batch of records (CRC-32C, RFC 3720), eight bytes at a time: a fraction of the time of one after the other.
 * @param before the checksum of the bytes before these
 */
export function crc32c(bytes: Buffer, before = 0): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = ~before;
  let i = 0;
  for (const last = bytes.length - STRIDE; i <= last; i += STRIDE) {
    const low = crc ^ view.getInt32(i, true);
    const high = view.getInt32(i + 4, true);
    crc =
      (TABLES[0x700 + (low & 0xff)] as number) ^
      (TABLES[0x600 + ((low >>> 8) & 0xff)] as number) ^
      (TABLES[0x500 + ((low >>> 16) & 0xff)] as number) ^
      (TABLES[0x400 + (low >>> 24)] as number) ^
      (TABLES[0x300 + (high & 0xff)] as number) ^
      (TABLES[0x200 + ((high >>> 8) & 0xff)] as number) ^
      (TABLES[0x100 + ((high >>> 16) & 0xff)] as number) ^
      (TABLES[high >>> 24] as number);
  }
  for (; i < bytes.length; i++) crc = (TABLES[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The first is that of a single byte; in each further one a byte has one more behind it. */
function makeTables(): Int32Array {
  const tables = new Int32Array(STRIDE * TABLE_SIZE);
  for (let byte = 0; byte < TABLE_SIZE; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[byte] = crc;
  }
  for (let at = TABLE_SIZE; at < tables.length; at++) {
    const crc = tables[at - TABLE_SIZE] as number;
    tables[at] = (crc >>> 8) ^ (tables[crc & 0xff] as number);
  }
  return tables;
}
