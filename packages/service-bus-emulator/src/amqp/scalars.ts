import type { ByteReader } from "./byte-reader.js";
import type { AmqpValue } from "./values.js";

/** The value of a type that holds no other values, after its type code (AMQP 1.0 part 1, 1.6); undefined when the code is none of those. */
export function readScalar(reader: ByteReader, code: number): AmqpValue | undefined {
  switch (code) {
    case 0x40:
      return null;
    case 0x41:
      return true;
    case 0x42:
      return false;
    case 0x56:
      return reader.byte() !== 0;
    case 0x50:
      return { type: "ubyte", value: reader.byte() };
    case 0x60:
      return { type: "ushort", value: reader.bytes.readUInt16BE(reader.take(2)) };
    case 0x70:
      return { type: "uint", value: reader.uint32() };
    case 0x52:
      return { type: "uint", value: reader.byte() };
    case 0x43:
      return { type: "uint", value: 0 };
    case 0x80:
      return { type: "ulong", value: reader.bytes.readBigUInt64BE(reader.take(8)) };
    case 0x53:
      return { type: "ulong", value: BigInt(reader.byte()) };
    case 0x44:
      return { type: "ulong", value: 0n };
    case 0x51:
      return { type: "byte", value: reader.bytes.readInt8(reader.take(1)) };
    case 0x61:
      return { type: "short", value: reader.bytes.readInt16BE(reader.take(2)) };
    case 0x71:
      return { type: "int", value: reader.bytes.readInt32BE(reader.take(4)) };
    case 0x54:
      return { type: "int", value: reader.bytes.readInt8(reader.take(1)) };
    case 0x81:
      return { type: "long", value: reader.bytes.readBigInt64BE(reader.take(8)) };
    case 0x55:
      return { type: "long", value: BigInt(reader.bytes.readInt8(reader.take(1))) };
    case 0x72:
      return { type: "float", value: reader.bytes.readFloatBE(reader.take(4)) };
    case 0x82:
      return { type: "double", value: reader.bytes.readDoubleBE(reader.take(8)) };
    case 0x73:
      return { type: "char", value: reader.uint32() };
    case 0x83:
      return { type: "timestamp", value: reader.bytes.readBigInt64BE(reader.take(8)) };
    case 0x98:
      return { type: "uuid", value: reader.slice(16) };
    case 0x74:
      return { type: "decimal32", value: reader.slice(4) };
    case 0x84:
      return { type: "decimal64", value: reader.slice(8) };
    case 0x94:
      return { type: "decimal128", value: reader.slice(16) };
    case 0xa0:
      return reader.slice(reader.byte());
    case 0xb0:
      return reader.slice(reader.uint32());
    case 0xa1:
      return reader.text("utf8", reader.byte());
    case 0xb1:
      return reader.text("utf8", reader.uint32());
    case 0xa3:
      return { type: "symbol", value: reader.text("latin1", reader.byte()) };
    case 0xb3:
      return { type: "symbol", value: reader.text("latin1", reader.uint32()) };
    default:
      return undefined;
  }
}
