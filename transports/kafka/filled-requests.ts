import type { Socket } from "node:net";
import { crc32c } from "./crc32c.js";
import { contentAt, MARK, STAND_IN_BYTES } from "./record-batch-ticket.js";

/** Where the fields of a record batch stand, from its beginning on (https://kafka.apache.org/documentation/#recordbatch). */
const LENGTH_AT = 8;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_DELTA_AT = 23;
const COUNT_AT = 57;
const RECORDS_AT = 61;
const MAGIC = 2;
/** Before a batch in a request: how many bytes it has. */
const SIZE_BYTES = 4;

/**
 * Puts the records into the requests of kafkajs, which were given a stand-in for them (see {@link RecordBatchTicket}), as they are written. kafkajs copies what it
 * sends seven times into buffers that it clears first, and takes its checksum a byte at a time.
 */
export function fillRequests(socket: Socket): void {
  const write = socket.write.bind(socket) as (data: unknown, ...rest: unknown[]) => boolean;
  const filling = (data: unknown, ...rest: unknown[]): boolean => {
    if (!Buffer.isBuffer(data) || !data.includes(MARK)) return write(data, ...rest);
    let parts: readonly Buffer[] | undefined;
    try {
      parts = partsOf(data);
    } catch (error) {
      // Thrown from here it would end the process where kafkajs had let the request wait.
      socket.destroy(error as Error);
      return false;
    }
    // It was given up before it was sent, and nobody waits for an answer.
    if (!parts) return true;
    socket.cork();
    for (const part of parts) write(part);
    socket.uncork();
    return !socket.writableNeedDrain;
  };
  socket.write = filling as Socket["write"];
}

/** The request as it is to be sent; `undefined` when the records of one of its batches are gone. @throws RangeError when it is not as kafkajs 2.2.4 writes it */
function partsOf(request: Buffer): readonly Buffer[] | undefined {
  const parts: Buffer[] = [];
  let from = 0;
  let size = request.readInt32BE(0);
  for (let at = request.indexOf(MARK); at !== -1; at = request.indexOf(MARK, from)) {
    const content = contentAt(request, at);
    const batch = at - RECORDS_AT;
    if (!content) return undefined;
    if (batch < SIZE_BYTES || request[batch + MAGIC_AT] !== MAGIC)
      throw new RangeError("a request of kafkajs has no batch of records of version 2");
    const growth = content.bytes.length - STAND_IN_BYTES;
    request.writeInt32BE(request.readInt32BE(batch - SIZE_BYTES) + growth, batch - SIZE_BYTES);
    request.writeInt32BE(request.readInt32BE(batch + LENGTH_AT) + growth, batch + LENGTH_AT);
    request.writeInt32BE(content.count - 1, batch + LAST_DELTA_AT);
    request.writeInt32BE(content.count, batch + COUNT_AT);
    request.writeUInt32BE(crc32c(content.bytes, crc32c(request.subarray(batch + ATTRIBUTES_AT, at))), batch + CRC_AT);
    parts.push(request.subarray(from, at), content.bytes);
    from = at + STAND_IN_BYTES;
    size += growth;
  }
  parts.push(request.subarray(from));
  request.writeInt32BE(size, 0);
  return parts;
}
