import { DecodeError } from "./amqp-error.js";
import type { Decoder } from "./decoder.js";
import type { Encoder } from "./encoder.js";
import type { Performative } from "./performatives.js";
import type { AmqpValue } from "./values.js";

type FieldType = "uint" | "ulong" | "ushort" | "ubyte" | "boolean" | "string" | "symbol" | "binary" | "value";

interface Layout {
  readonly code: number;
  /** In the order of the wire. */
  readonly fields: readonly (readonly [name: string, type: FieldType])[];
}

const CAPABILITIES_AND_PROPERTIES = [
  ["offeredCapabilities", "value"],
  ["desiredCapabilities", "value"],
  ["properties", "value"],
] as const;

const LAYOUTS: Readonly<Record<Performative["kind"], Layout>> = {
  open: {
    code: 0x10,
    fields: [
      ["containerId", "string"],
      ["hostname", "string"],
      ["maxFrameSize", "uint"],
      ["channelMax", "ushort"],
      ["idleTimeOut", "uint"],
      ["outgoingLocales", "value"],
      ["incomingLocales", "value"],
      ...CAPABILITIES_AND_PROPERTIES,
    ],
  },
  begin: {
    code: 0x11,
    fields: [
      ["remoteChannel", "ushort"],
      ["nextOutgoingId", "uint"],
      ["incomingWindow", "uint"],
      ["outgoingWindow", "uint"],
      ["handleMax", "uint"],
      ...CAPABILITIES_AND_PROPERTIES,
    ],
  },
  attach: {
    code: 0x12,
    fields: [
      ["name", "string"],
      ["handle", "uint"],
      ["role", "boolean"],
      ["sndSettleMode", "ubyte"],
      ["rcvSettleMode", "ubyte"],
      ["source", "value"],
      ["target", "value"],
      ["unsettled", "value"],
      ["incompleteUnsettled", "boolean"],
      ["initialDeliveryCount", "uint"],
      ["maxMessageSize", "ulong"],
      ...CAPABILITIES_AND_PROPERTIES,
    ],
  },
  flow: {
    code: 0x13,
    fields: [
      ["nextIncomingId", "uint"],
      ["incomingWindow", "uint"],
      ["nextOutgoingId", "uint"],
      ["outgoingWindow", "uint"],
      ["handle", "uint"],
      ["deliveryCount", "uint"],
      ["linkCredit", "uint"],
      ["available", "uint"],
      ["drain", "boolean"],
      ["echo", "boolean"],
      ["properties", "value"],
    ],
  },
  transfer: {
    code: 0x14,
    fields: [
      ["handle", "uint"],
      ["deliveryId", "uint"],
      ["deliveryTag", "binary"],
      ["messageFormat", "uint"],
      ["settled", "boolean"],
      ["more", "boolean"],
      ["rcvSettleMode", "ubyte"],
      ["state", "value"],
      ["resume", "boolean"],
      ["aborted", "boolean"],
      ["batchable", "boolean"],
    ],
  },
  disposition: {
    code: 0x15,
    fields: [
      ["role", "boolean"],
      ["first", "uint"],
      ["last", "uint"],
      ["settled", "boolean"],
      ["state", "value"],
      ["batchable", "boolean"],
    ],
  },
  detach: {
    code: 0x16,
    fields: [
      ["handle", "uint"],
      ["closed", "boolean"],
      ["error", "value"],
    ],
  },
  end: { code: 0x17, fields: [["error", "value"]] },
  close: { code: 0x18, fields: [["error", "value"]] },
  "sasl-mechanisms": { code: 0x40, fields: [["mechanisms", "value"]] },
  "sasl-init": {
    code: 0x41,
    fields: [
      ["mechanism", "symbol"],
      ["initialResponse", "binary"],
      ["hostname", "string"],
    ],
  },
  "sasl-outcome": {
    code: 0x44,
    fields: [
      ["code", "value"],
      ["additionalData", "binary"],
    ],
  },
};

const KIND_OF_CODE = new Map(
  Object.entries(LAYOUTS).map(([kind, { code, fields }]) => [code, { kind: kind as Performative["kind"], fields }] as const),
);

type FieldValue = AmqpValue | number | undefined;

/** Reads the performative that a frame's body begins with, and leaves the decoder where a payload begins. */
export function readPerformative(decoder: Decoder): Performative {
  const code = decoder.readDescriptor();
  const known = code === undefined ? undefined : KIND_OF_CODE.get(code);
  if (!known)
    throw new DecodeError(code === undefined ? "a performative has no numeric descriptor" : `0x${code.toString(16)} is no performative`);
  const { count, end } = decoder.readListHead();
  const read: Record<string, FieldValue> = { kind: known.kind };
  const { fields } = known;
  for (let i = 0; i < count; i++) {
    const field = fields[i];
    if (!field) throw new DecodeError(`the performative "${known.kind}" has at most ${fields.length} fields, not ${count}`);
    read[field[0]] = readField(decoder, field[1]);
  }
  if (decoder.position !== end) throw new DecodeError(`the size of the performative "${known.kind}" does not fit its fields`);
  return read as unknown as Performative;
}

function readField(decoder: Decoder, type: FieldType): FieldValue {
  switch (type) {
    case "uint":
    case "ulong":
    case "ushort":
    case "ubyte":
      return decoder.readUint();
    case "boolean":
      return decoder.readBoolean();
    case "string":
    case "symbol":
      return decoder.readText();
    case "binary":
      return decoder.readBinary();
    case "value":
      return decoder.readValue() ?? undefined;
  }
}

export function writePerformative(encoder: Encoder, performative: Performative): void {
  const { code, fields } = LAYOUTS[performative.kind];
  const values = performative as unknown as Readonly<Record<string, FieldValue>>;
  let count = fields.length;
  while (count > 0 && values[fields[count - 1]?.[0] ?? ""] === undefined) count--;
  encoder.writeDescriptor(code);
  encoder.writeList(() => {
    for (let i = 0; i < count; i++) {
      const field = fields[i];
      if (field) writeField(encoder, field[1], values[field[0]]);
    }
    return count;
  });
}

function writeField(encoder: Encoder, type: FieldType, value: FieldValue): void {
  if (value === undefined || value === null) encoder.writeNull();
  else if (typeof value === "number") writeNumber(encoder, type, value);
  else if (type === "symbol" && typeof value === "string") encoder.writeSymbol(value);
  else encoder.writeValue(value);
}

function writeNumber(encoder: Encoder, type: FieldType, value: number): void {
  if (type === "ushort") encoder.writeValue({ type: "ushort", value });
  else if (type === "ulong") encoder.writeUlong(BigInt(value));
  else if (type === "ubyte") encoder.writeValue({ type: "ubyte", value });
  else encoder.writeUint(value);
}
