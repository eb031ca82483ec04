import type { Socket } from "node:net";

/** Before each response: how many bytes follow. */
const SIZE_BYTES = 4;
/** No broker sends more in one response; who asks for the size of what is no response at all gets any number. */
const MAX_RESPONSE_BYTES = 1024 * 1024 * 1024;

/**
 * Has the socket hand over whole responses only. kafkajs keeps the half of a response with which a connection ended, and takes what comes over the next connection
 * for the rest of it: nothing is understood from there on, until every request has run out of time, or the process ends with a RangeError that nobody can catch.
 */
export function onlyWholeResponses(socket: Socket): void {
  const emit = socket.emit.bind(socket) as (event: string | symbol, ...args: unknown[]) => boolean;
  const pending = new PendingBytes();
  socket.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event !== "data") return emit(event, ...args);
    try {
      const whole = pending.add(args[0] as Buffer);
      return whole === undefined || emit("data", whole);
    } catch (error) {
      socket.destroy(error as Error);
      return true;
    }
  };
}

/** The bytes of a response that is not whole yet. */
class PendingBytes {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** How many there must be until the next response is whole, or its size is known. */
  #needed = SIZE_BYTES;

  /** @returns all responses that are whole now. @throws RangeError for what is no response */
  add(chunk: Buffer): Buffer | undefined {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#needed) return undefined;
    const all = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes);
    let end = 0;
    this.#needed = SIZE_BYTES;
    while (all.length - end >= SIZE_BYTES) {
      const size = all.readInt32BE(end);
      if (size < 0 || size > MAX_RESPONSE_BYTES)
        throw new RangeError(`what came from the broker is no response: it claims to have ${size} bytes`);
      this.#needed = SIZE_BYTES + size;
      if (all.length - end < this.#needed) break;
      end += this.#needed;
      this.#needed = SIZE_BYTES;
    }
    const rest = all.subarray(end);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#bytes = rest.length;
    return end === 0 ? undefined : all.subarray(0, end);
  }
}
