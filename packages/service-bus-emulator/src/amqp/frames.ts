import { AmqpError, DecodeError } from "./amqp-error.js";
import { Decoder } from "./decoder.js";
import { Encoder } from "./encoder.js";
import { readPerformative, writePerformative } from "./performative-codec.js";
import type { Performative } from "./performatives.js";

/** The protocol headers of AMQP 1.0: part 2, 2.2 and part 5, 5.3.2. */
export const AMQP_HEADER: Buffer = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0]);
export const SASL_HEADER: Buffer = Buffer.from([0x41, 0x4d, 0x51, 0x50, 3, 1, 0, 0]);

/** What every implementation must take before a size is negotiated. */
export const MIN_MAX_FRAME_SIZE = 512;

const FRAME_HEAD = 8;

/** One frame: its channel, performative and what follows it. An empty frame (a sign of life) has no performative. */
export interface Frame {
  readonly type: "amqp" | "sasl";
  readonly channel: number;
  readonly performative: Performative | undefined;
  /** A view of the network's buffer. */
  readonly payload: Buffer;
}

/** Cuts what a socket delivers into protocol headers and frames; holds at most one frame that is not complete. */
export class FrameReader {
  readonly #maxFrameSize: number;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #needed = FRAME_HEAD;

  constructor(maxFrameSize: number) {
    this.#maxFrameSize = maxFrameSize;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
  }

  /** The next eight bytes, where a protocol header is expected. */
  nextHeader(): Buffer | undefined {
    return this.#cut(FRAME_HEAD);
  }

  /** @throws AmqpError "amqp:connection:framing-error" or "amqp:decode-error" for bytes that are no frame */
  nextFrame(): Frame | undefined {
    // A frame that arrives in a thousand pieces is put together once, not a thousand times.
    if (this.#buffered < this.#needed) return undefined;
    const bytes = this.#joined();
    const size = bytes.readUInt32BE(0);
    if (size < FRAME_HEAD || size > this.#maxFrameSize) {
      throw new AmqpError("amqp:connection:framing-error", `A frame announces ${size} bytes; at most ${this.#maxFrameSize} were agreed.`);
    }
    if (bytes.length < size) {
      this.#needed = size;
      return undefined;
    }
    this.#needed = FRAME_HEAD;
    this.#rest(bytes, size);
    return parseFrame(bytes.subarray(0, size));
  }

  #cut(length: number): Buffer | undefined {
    if (this.#buffered < length) return undefined;
    const bytes = this.#joined();
    this.#rest(bytes, length);
    return bytes.subarray(0, length);
  }

  #joined(): Buffer {
    const [only] = this.#chunks;
    if (this.#chunks.length === 1 && only) return only;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }

  #rest(bytes: Buffer, from: number): void {
    this.#buffered = bytes.length - from;
    this.#chunks = this.#buffered > 0 ? [bytes.subarray(from)] : [];
  }
}

function parseFrame(bytes: Buffer): Frame {
  const offset = bytes.readUInt8(4) * 4;
  const type = bytes.readUInt8(5);
  if (offset < FRAME_HEAD || offset > bytes.length)
    throw new AmqpError("amqp:connection:framing-error", "A frame has no valid data offset.");
  if (type > 1) throw new AmqpError("amqp:connection:framing-error", `There is no frame type ${type}.`);
  const channel = type === 0 ? bytes.readUInt16BE(6) : 0;
  const decoder = new Decoder(bytes, offset);
  const performative = decoder.atEnd ? undefined : readPerformative(decoder);
  if (performative && (type === 1) !== performative.kind.startsWith("sasl")) {
    throw new DecodeError(`the performative "${performative.kind}" came in a frame of the wrong type`);
  }
  return { type: type === 0 ? "amqp" : "sasl", channel, performative, payload: bytes.subarray(decoder.position) };
}

const scratch = new Encoder();

/** The bytes of a frame; a payload follows a transfer. */
export function encodeFrame(channel: number, performative: Performative | undefined, payload?: Buffer): Buffer {
  const type = performative?.kind.startsWith("sasl") ? 1 : 0;
  scratch.reset();
  scratch.writeUint32(0);
  scratch.writeUint32(0x02_00_00_00 + (type << 16) + channel);
  if (performative) writePerformative(scratch, performative);
  if (payload) scratch.writeRaw(payload);
  scratch.patchUint32(0, scratch.length);
  return scratch.take();
}
