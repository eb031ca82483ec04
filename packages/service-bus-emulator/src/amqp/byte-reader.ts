import { DecodeError } from "./amqp-error.js";

/** Bytes read one after another, never beyond the end. Slices are views, not copies. */
export class ByteReader {
  position: number;
  readonly bytes: Buffer;
  readonly end: number;

  constructor(bytes: Buffer, position = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
  }

  get atEnd(): boolean {
    return this.position >= this.end;
  }

  byte(): number {
    const byte = this.position < this.end ? this.bytes[this.position] : undefined;
    if (byte === undefined) throw new DecodeError("a value is cut off");
    this.position++;
    return byte;
  }

  uint32(): number {
    return this.bytes.readUInt32BE(this.take(4));
  }

  /** Moves on by some bytes that must be there; where they start. */
  take(length: number): number {
    const start = this.position;
    if (start + length > this.end) throw new DecodeError("a value is cut off");
    this.position = start + length;
    return start;
  }

  slice(length: number): Buffer {
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  text(encoding: "utf8" | "latin1", length: number): string {
    const start = this.take(length);
    return this.bytes.toString(encoding, start, start + length);
  }
}
