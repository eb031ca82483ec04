import { AmqpError } from "./amqp-error.js";
import { FULL_WIDTH_CODE } from "./type-codes.js";
import { type AmqpArray, type AmqpMap, type AmqpScalar, type AmqpSymbol, type AmqpValue, isList } from "./values.js";

const FIRST_SIZE = 4_096;
/** A buffer that grew beyond this for one large frame is not kept for the next. */
const KEPT_SIZE = 1_048_576;

/** Writes AMQP values one after another into a buffer that grows (AMQP 1.0 part 1), each in its shortest form. */
export class Encoder {
  #bytes = Buffer.allocUnsafe(FIRST_SIZE);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A copy of what was written, and an empty encoder for what comes next. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    if (this.#bytes.length > KEPT_SIZE) this.#bytes = Buffer.allocUnsafe(FIRST_SIZE);
    return taken;
  }

  /** Drops what was written: after an error amid a value. */
  reset(): void {
    this.#length = 0;
  }

  writeRaw(bytes: Buffer): void {
    this.#room(bytes.length);
    bytes.copy(this.#bytes, this.#length);
    this.#length += bytes.length;
  }

  writeByte(byte: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = byte;
  }

  writeUint32(value: number): void {
    this.#room(4);
    this.#length = this.#bytes.writeUInt32BE(value, this.#length);
  }

  /** Writes over four bytes that were written before: a size that is known only now. */
  patchUint32(position: number, value: number): void {
    this.#bytes.writeUInt32BE(value, position);
  }

  writeNull(): void {
    this.writeByte(0x40);
  }

  writeBoolean(value: boolean): void {
    this.writeByte(value ? 0x41 : 0x42);
  }

  writeUint(value: number): void {
    if (value === 0) this.writeByte(0x43);
    else if (value < 256) this.#twoBytes(0x52, value);
    else {
      this.writeByte(0x70);
      this.writeUint32(value);
    }
  }

  writeUlong(value: bigint): void {
    if (value === 0n) this.writeByte(0x44);
    else if (value < 256n) this.#twoBytes(0x53, Number(value));
    else {
      this.#room(9);
      this.#bytes[this.#length] = 0x80;
      this.#length = this.#bytes.writeBigUInt64BE(value, this.#length + 1);
    }
  }

  writeString(value: string): void {
    this.#variable(0xa1, 0xb1, Buffer.byteLength(value));
    this.#length += this.#bytes.write(value, this.#length);
  }

  /** Symbols are ASCII. */
  writeSymbol(value: string): void {
    this.#variable(0xa3, 0xb3, value.length);
    this.#length += this.#bytes.write(value, this.#length, "latin1");
  }

  writeBinary(value: Buffer): void {
    this.#variable(0xa0, 0xb0, value.length);
    this.writeRaw(value);
  }

  /** The descriptor of a composite type, all of which are below 256. */
  writeDescriptor(code: number): void {
    this.writeByte(0x00);
    this.#twoBytes(0x53, code);
  }

  /** A list whose elements `write` writes; it returns their number. */
  writeList(write: () => number): void {
    this.#compound(0xd0, write);
  }

  /** A map whose keys and values `write` writes; it returns the number of both together. */
  writeMap(write: () => number): void {
    this.#compound(0xd1, write);
  }

  writeValue(value: AmqpValue): void {
    if (value === null) this.writeNull();
    else if (typeof value === "boolean") this.writeBoolean(value);
    else if (typeof value === "string") this.writeString(value);
    else if (Buffer.isBuffer(value)) this.writeBinary(value);
    else if (isList(value)) this.#list(value);
    else if (value.type === "map") this.#map(value);
    else if (value.type === "array") this.#array(value);
    else if (value.type === "described") {
      this.writeByte(0x00);
      this.writeValue(value.descriptor);
      this.writeValue(value.value);
    } else this.#scalar(value);
  }

  #scalar(value: AmqpScalar): void {
    if (value.type === "uint") this.writeUint(value.value);
    else if (value.type === "ulong") this.writeUlong(value.value);
    else if (value.type === "symbol") this.writeSymbol(value.value);
    else if (value.type === "int" && value.value >= -128 && value.value < 128) this.#twoBytes(0x54, value.value & 0xff);
    else if (value.type === "long" && value.value >= -128n && value.value < 128n) this.#twoBytes(0x55, Number(value.value) & 0xff);
    else this.#fixed(value);
  }

  #fixed(value: AmqpScalar): void {
    this.writeByte(FULL_WIDTH_CODE[value.type]);
    this.#payload(value);
  }

  #list(items: readonly AmqpValue[]): void {
    if (items.length === 0) this.writeByte(0x45);
    else {
      this.#compound(0xd0, () => {
        for (const item of items) this.writeValue(item);
        return items.length;
      });
    }
  }

  #map(value: AmqpMap): void {
    this.#compound(0xd1, () => {
      for (const [key, entry] of value.entries) {
        this.writeValue(key);
        this.writeValue(entry);
      }
      return value.entries.length * 2;
    });
  }

  #array(value: AmqpArray): void {
    this.#compound(0xf0, () => {
      if (value.descriptor !== undefined) {
        this.writeByte(0x00);
        this.writeValue(value.descriptor);
      }
      this.writeByte(FULL_WIDTH_CODE[value.of]);
      for (const item of value.items) this.#payload(item);
      return value.items.length;
    });
  }

  /** A value without its type code, in the widest form of its type: the form that all elements of an array share. */
  #payload(value: AmqpValue): void {
    if (value === null) return;
    if (typeof value === "boolean") this.writeByte(value ? 1 : 0);
    else if (typeof value === "string") this.#wide(Buffer.from(value));
    else if (Buffer.isBuffer(value)) this.#wide(value);
    else if (isList(value) || value.type === "map" || value.type === "array") this.#compoundPayload(value);
    else if (value.type === "described") throw new AmqpError("amqp:internal-error", "an array names the descriptor of its elements once");
    else if (value.type === "symbol") this.#wide(Buffer.from(value.value, "latin1"));
    else this.#scalarPayload(value);
  }

  #scalarPayload(value: Exclude<AmqpScalar, AmqpSymbol>): void {
    this.#room(16);
    switch (value.type) {
      case "ubyte":
        this.#length = this.#bytes.writeUInt8(value.value, this.#length);
        break;
      case "byte":
        this.#length = this.#bytes.writeInt8(value.value, this.#length);
        break;
      case "ushort":
        this.#length = this.#bytes.writeUInt16BE(value.value, this.#length);
        break;
      case "short":
        this.#length = this.#bytes.writeInt16BE(value.value, this.#length);
        break;
      case "uint":
      case "char":
        this.#length = this.#bytes.writeUInt32BE(value.value, this.#length);
        break;
      case "int":
        this.#length = this.#bytes.writeInt32BE(value.value, this.#length);
        break;
      case "float":
        this.#length = this.#bytes.writeFloatBE(value.value, this.#length);
        break;
      case "double":
        this.#length = this.#bytes.writeDoubleBE(value.value, this.#length);
        break;
      case "ulong":
        this.#length = this.#bytes.writeBigUInt64BE(value.value, this.#length);
        break;
      case "long":
      case "timestamp":
        this.#length = this.#bytes.writeBigInt64BE(value.value, this.#length);
        break;
      default:
        this.writeRaw(value.value);
    }
  }

  #wide(bytes: Buffer): void {
    this.writeUint32(bytes.length);
    this.writeRaw(bytes);
  }

  /** A list, map or array within an array: as ever, but for the type code, which stands once before all. */
  #compoundPayload(value: AmqpValue): void {
    const inner = new Encoder();
    if (isList(value) && value.length === 0) {
      this.writeUint32(4);
      this.writeUint32(0);
      return;
    }
    inner.writeValue(value);
    this.writeRaw(inner.take().subarray(1));
  }

  #compound(code: 0xd0 | 0xd1 | 0xf0, write: () => number): void {
    this.writeByte(code);
    const start = this.#length;
    this.#room(8);
    this.#length += 8;
    const count = write();
    this.patchUint32(start, this.#length - start - 4);
    this.patchUint32(start + 4, count);
  }

  #twoBytes(first: number, second: number): void {
    this.#room(2);
    this.#bytes[this.#length++] = first;
    this.#bytes[this.#length++] = second;
  }

  #variable(shortCode: number, longCode: number, length: number): void {
    this.#room(5 + length);
    if (length < 256) this.#twoBytes(shortCode, length);
    else {
      this.writeByte(longCode);
      this.writeUint32(length);
    }
  }

  #room(length: number): void {
    const needed = this.#length + length;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** A value's bytes. */
export function encodeValue(value: AmqpValue): Buffer {
  const encoder = new Encoder();
  encoder.writeValue(value);
  return encoder.take();
}
