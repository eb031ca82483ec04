import { DecodeError } from "./amqp-error.js";
import { ByteReader } from "./byte-reader.js";
import { readScalar } from "./scalars.js";
import { TYPE_OF_CODE } from "./type-codes.js";
import type { AmqpValue } from "./values.js";

/** Deeper values are refused: no message nests this far, and the stack is finite. */
const MAX_DEPTH = 64;
/** Array elements such as null have no bytes, so that a few bytes could announce four thousand million of them: at most so many in all. */
const MAX_ELEMENTS_WITHOUT_BYTES = 65_536;

/**
 * Reads AMQP values one after another (AMQP 1.0 part 1). Binaries are views of the given bytes, not copies.
 * Every method throws {@link DecodeError} for bytes that are no AMQP, and none reads beyond the end.
 */
export class Decoder extends ByteReader {
  #depth = 0;
  #elementsWithoutBytes = 0;

  readValue(): AmqpValue {
    const code = this.byte();
    if (code !== 0x00) return this.#read(code);
    const descriptor = this.#nested(() => this.readValue());
    return { type: "described", descriptor, value: this.#nested(() => this.readValue()) };
  }

  /** Passes over one value without looking into it. */
  skipValue(): void {
    const code = this.byte();
    if (code === 0x00) {
      this.#nested(() => this.skipValue());
      this.#nested(() => this.skipValue());
      return;
    }
    this.take(this.#sizeAfter(code));
  }

  /** The start of a described list or value whose descriptor is a number: that number, or undefined when it is another value. */
  readDescriptor(): number | undefined {
    if (this.byte() !== 0x00) throw new DecodeError("a described value was expected");
    const code = this.byte();
    if (code === 0x53) return this.byte();
    if (code === 0x80) return Number(this.bytes.readBigUInt64BE(this.take(8)));
    if (code === 0x44) return 0;
    this.position--;
    this.skipValue();
    return undefined;
  }

  /** Enters a list: how many elements follow, and where it ends. Used for performatives, whose fields are read one by one. */
  readListHead(): { count: number; end: number } {
    const code = this.byte();
    if (code === 0x45) return { count: 0, end: this.position };
    if (code === 0xc0) return this.#compoundHead(1);
    if (code === 0xd0) return this.#compoundHead(4);
    throw new DecodeError(`a list was expected, not type 0x${code.toString(16)}`);
  }

  /** An unsigned integer of up to four bytes as a number; undefined for null. */
  readUint(): number | undefined {
    const code = this.byte();
    switch (code) {
      case 0x40:
        return undefined;
      case 0x43:
      case 0x44:
        return 0;
      case 0x50:
      case 0x52:
      case 0x53:
        return this.byte();
      case 0x60:
        return this.bytes.readUInt16BE(this.take(2));
      case 0x70:
        return this.bytes.readUInt32BE(this.take(4));
      case 0x80: {
        const wide = this.bytes.readBigUInt64BE(this.take(8));
        return Number(wide);
      }
      default:
        throw new DecodeError(`an unsigned integer was expected, not type 0x${code.toString(16)}`);
    }
  }

  readBoolean(): boolean | undefined {
    const code = this.byte();
    if (code === 0x40) return undefined;
    if (code === 0x41) return true;
    if (code === 0x42) return false;
    if (code === 0x56) return this.byte() !== 0;
    throw new DecodeError(`a boolean was expected, not type 0x${code.toString(16)}`);
  }

  /** A string or a symbol as text; undefined for null. */
  readText(): string | undefined {
    const code = this.byte();
    switch (code) {
      case 0x40:
        return undefined;
      case 0xa1:
        return this.text("utf8", this.byte());
      case 0xb1:
        return this.text("utf8", this.uint32());
      case 0xa3:
        return this.text("latin1", this.byte());
      case 0xb3:
        return this.text("latin1", this.uint32());
      default:
        throw new DecodeError(`a string or symbol was expected, not type 0x${code.toString(16)}`);
    }
  }

  readBinary(): Buffer | undefined {
    const code = this.byte();
    if (code === 0x40) return undefined;
    if (code === 0xa0) return this.slice(this.byte());
    if (code === 0xb0) return this.slice(this.uint32());
    throw new DecodeError(`a binary was expected, not type 0x${code.toString(16)}`);
  }

  #read(code: number): AmqpValue {
    switch (code) {
      case 0x45:
        return [];
      case 0xc0:
        return this.#list(this.#compoundHead(1));
      case 0xd0:
        return this.#list(this.#compoundHead(4));
      case 0xc1:
        return this.#map(this.#compoundHead(1));
      case 0xd1:
        return this.#map(this.#compoundHead(4));
      case 0xe0:
        return this.#array(this.#compoundHead(1));
      case 0xf0:
        return this.#array(this.#compoundHead(4));
      default: {
        const scalar = readScalar(this, code);
        if (scalar === undefined) throw noSuchType(code);
        return scalar;
      }
    }
  }

  #list({ count, end }: CompoundHead): AmqpValue {
    const items = this.#nested(() => {
      const read: AmqpValue[] = [];
      for (let i = 0; i < count; i++) read.push(this.readValue());
      return read;
    });
    return this.#leave(end, items);
  }

  #map({ count, end }: CompoundHead): AmqpValue {
    if (count % 2 !== 0) throw new DecodeError("a map has a key without a value");
    const entries = this.#nested(() => {
      const read: [AmqpValue, AmqpValue][] = [];
      for (let i = 0; i < count; i += 2) read.push([this.readValue(), this.readValue()]);
      return read;
    });
    return this.#leave(end, { type: "map", entries });
  }

  #array({ count, end }: CompoundHead): AmqpValue {
    let code = this.byte();
    let descriptor: AmqpValue | undefined;
    if (code === 0x00) {
      descriptor = this.#nested(() => this.readValue());
      code = this.byte();
    }
    if (hasNoBytes(code)) this.#elementsWithoutBytes += count;
    if (this.#elementsWithoutBytes > MAX_ELEMENTS_WITHOUT_BYTES) throw new DecodeError(`an array announces ${count} empty elements`);
    const items = this.#nested(() => {
      const read: AmqpValue[] = [];
      for (let i = 0; i < count; i++) read.push(this.#read(code));
      return read;
    });
    const of = TYPE_OF_CODE[code];
    if (!of) throw noSuchType(code);
    return this.#leave(end, { type: "array", of, items, ...(descriptor === undefined ? {} : { descriptor }) });
  }

  #compoundHead(width: 1 | 4): CompoundHead {
    const size = width === 1 ? this.byte() : this.uint32();
    const end = this.position + size;
    if (size < width || end > this.end) throw new DecodeError("a list, map or array is longer than what holds it");
    const count = width === 1 ? this.byte() : this.uint32();
    return { count, end };
  }

  #leave<T>(end: number, value: T): T {
    if (this.position !== end) throw new DecodeError("the size of a list, map or array does not fit its elements");
    return value;
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new DecodeError(`values are nested more than ${MAX_DEPTH} deep`);
    const value = read();
    this.#depth--;
    return value;
  }

  /** The bytes of a value after its type code; the high half of the code says which kind of width it is (AMQP 1.0 part 1, figure 1.6). */
  #sizeAfter(code: number): number {
    switch (code >> 4) {
      case 0x4:
        return 0;
      case 0x5:
        return 1;
      case 0x6:
        return 2;
      case 0x7:
        return 4;
      case 0x8:
        return 8;
      case 0x9:
        return 16;
      case 0xa:
      case 0xc:
      case 0xe:
        return this.byte();
      case 0xb:
      case 0xd:
      case 0xf:
        return this.uint32();
      default:
        throw noSuchType(code);
    }
  }
}

interface CompoundHead {
  readonly count: number;
  readonly end: number;
}

function noSuchType(code: number): DecodeError {
  return new DecodeError(`there is no AMQP type 0x${code.toString(16)}`);
}

function hasNoBytes(code: number): boolean {
  return code >> 4 === 0x4;
}

/** The value that starts at a position of the bytes. Read on with a {@link Decoder} where more than one follow. */
export function decodeValue(bytes: Buffer, position = 0): AmqpValue {
  return new Decoder(bytes, position).readValue();
}
