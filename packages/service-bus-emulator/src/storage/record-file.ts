import { open } from "node:fs/promises";
import { decodeRecord, type Record, recordLength } from "./record-codec.js";

const CHUNK = 4 * 1_048_576;

/**
 * Reads the records of a file up to its end or to the first one that is not whole: what was being written when the process was killed.
 * @returns whether the file was read to its end.
 */
export async function readRecords(path: string, onRecord: (record: Record) => void): Promise<boolean> {
  const file = await open(path, "r");
  try {
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      const wanted = Math.max(CHUNK, recordLength(rest, 0) ?? 0);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted);
      if (bytesRead === 0) return rest.length === 0;
      const bytes = rest.length === 0 ? buffer.subarray(0, bytesRead) : Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      const { at, damaged } = readAll(bytes, onRecord);
      if (damaged) return false;
      rest = bytes.subarray(at);
    }
  } finally {
    await file.close();
  }
}

/** Where the first record starts that is not whole yet, and whether its checksum shows that it never will be. */
function readAll(bytes: Buffer, onRecord: (record: Record) => void): { readonly at: number; readonly damaged: boolean } {
  let at = 0;
  for (let decoded = decodeRecord(bytes, at); decoded; decoded = decodeRecord(bytes, at)) {
    onRecord(decoded.record);
    at = decoded.next;
  }
  const length = recordLength(bytes, at);
  const isHeaderWhole = at + 8 <= bytes.length;
  return { at, damaged: isHeaderWhole && (length === undefined || at + length <= bytes.length) };
}
