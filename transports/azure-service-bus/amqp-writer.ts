/** Constructors of the types that are written here: https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-types-v1.0-os.html#section-primitive-type-definitions */
const NULL = 0x40;
const TIMESTAMP = 0x83;
const STRING_8 = 0xa1;
const STRING_32 = 0xb1;
const SYMBOL_8 = 0xa3;
const LIST_32 = 0xd0;
const MAP_32 = 0xd1;

/** The largest length that fits into one byte. */
const MAX_SHORT = 0xff;
/** A constructor and a length of four bytes. */
const MOST_HEAD_BYTES = 5;
/** A UTF-16 code unit takes at most three bytes in UTF-8. */
const MOST_BYTES_A_UNIT = 3;
/** Up to here a loop over the characters is faster than the call that writes them all. */
const MAX_LOOPED = 64;
const MAX_ASCII = 0x7f;
const UINT_32 = 2 ** 32;

/** What a text takes at most. */
export function mostBytesOf(text: string): number {
  return MOST_HEAD_BYTES + MOST_BYTES_A_UNIT * text.length;
}

/** Writes values of AMQP 1.0 one behind the other, into a buffer that grows when room is asked for. */
export class AmqpWriter {
  #buffer: Buffer;
  /** So many bytes are written; what is behind a lower position that is set is forgotten. */
  position = 0;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  /** What is written, in the memory of the writer. */
  get written(): Buffer {
    return this.#buffer.subarray(0, this.position);
  }

  get capacity(): number {
    return this.#buffer.length;
  }

  /** Makes room for so many bytes more. No other method does. */
  reserve(bytes: number): void {
    const needed = this.position + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.position);
    this.#buffer = larger;
  }

  byte(value: number): void {
    this.#buffer[this.position++] = value;
  }

  bytes(value: Uint8Array): void {
    this.#buffer.set(value, this.position);
    this.position += value.length;
  }

  /** What stands between two positions stands here too, or instead. */
  again(start: number, end: number): void {
    if (start !== this.position) this.#buffer.copyWithin(this.position, start, end);
    this.position += end - start;
  }

  uint32(value: number): void {
    this.uint32At(this.position, value);
    this.position += 4;
  }

  uint32At(at: number, value: number): void {
    const buffer = this.#buffer;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
  }

  null(): void {
    this.byte(NULL);
  }

  /** @param ms since 1970, not before */
  timestamp(ms: number): void {
    this.byte(TIMESTAMP);
    this.uint32(Math.floor(ms / UINT_32));
    this.uint32(ms % UINT_32);
  }

  /** @param text of at most 255 characters, all ASCII */
  symbol(text: string): void {
    this.byte(SYMBOL_8);
    this.byte(text.length);
    this.position += this.#buffer.write(text, this.position, "latin1");
  }

  string(text: string): void {
    if (text.length <= MAX_LOOPED && this.#asciiString(text)) return;
    const length = Buffer.byteLength(text);
    if (length <= MAX_SHORT) {
      this.byte(STRING_8);
      this.byte(length);
    } else {
      this.byte(STRING_32);
      this.uint32(length);
    }
    this.position += this.#buffer.write(text, this.position);
  }

  /** @returns where it begins, for {@link end} */
  beginList(count: number): number {
    return this.#begin(LIST_32, count);
  }

  /** @param count keys and values @returns where it begins, for {@link end} */
  beginMap(count: number): number {
    return this.#begin(MAP_32, count);
  }

  /** Everything of the list or map is written. */
  end(start: number): void {
    this.uint32At(start, this.position - start - 4);
  }

  #begin(code: number, count: number): number {
    this.byte(code);
    const start = this.position;
    this.position += 4;
    this.uint32(count);
    return start;
  }

  /** @returns whether it was ASCII, else nothing is written */
  #asciiString(text: string): boolean {
    const buffer = this.#buffer;
    let at = this.position + 2;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > MAX_ASCII) return false;
      buffer[at++] = unit;
    }
    buffer[this.position] = STRING_8;
    buffer[this.position + 1] = text.length;
    this.position = at;
    return true;
  }
}
