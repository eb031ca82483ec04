import { Buffer } from "node:buffer";
import { describe, expect, test } from "vitest";
import type { Envelope } from "../../../src/contracts/wire-format.js";
import { InvalidMessageError } from "../../../src/errors.js";
import { cloudEvents } from "../../../src/wire/cloud-events.js";
import { MAX_JSON_DEPTH } from "../../../src/wire/safe-json.js";
import { UndecodableError } from "../../../src/wire/undecodable-error.js";
import { Random } from "../../support/random.js";

const STRUCTURED = "application/cloudevents+json";

const envelope: Envelope = {
  messageId: "01ARZ3NDEKTSV4RRFFQ69G5FAV",
  messageType: "shop.order-placed",
  source: "shop",
  sentAt: new Date("2026-01-31T12:00:00.123Z"),
  correlationId: "c1",
  conversationId: "c2",
  causationId: "c3",
  partitionKey: 'key "1" \\ ü',
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  tracestate: "vendor=1",
  data: { orderId: "o1", text: 'a "quoted" \n line 🚎', list: [1, null, true] },
};
const sparse: Envelope = { ...envelope, causationId: undefined, partitionKey: undefined, traceparent: undefined, tracestate: undefined };

const document = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  specversion: "1.0",
  id: "id-1",
  source: "/shop",
  type: "shop.order-placed",
  time: "2026-01-31T12:00:00Z",
  data: { orderId: "o1" },
  ...changes,
});
const bytes = (value: unknown): Buffer => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const readStructured = (value: unknown, contentType = STRUCTURED): Envelope => cloudEvents.decode(bytes(value), { contentType }, {});
const binaryHeaders = { "ce-specversion": "1.0", "ce-id": "id-1", "ce-source": "/shop", "ce-type": "shop.order-placed" };
const readBinary = (body: unknown, headers: Record<string, string> = binaryHeaders, contentType = "application/json"): Envelope =>
  cloudEvents.decode(bytes(body), { contentType }, headers);

describe("writing", () => {
  test("the body is a CloudEvent in structured mode, with all attributes", () => {
    const { contentType, body } = cloudEvents.encode(envelope);
    expect(contentType).toBe(STRUCTURED);
    expect(body).toBeInstanceOf(Buffer);
    expect(JSON.parse(body.toString())).toEqual({
      specversion: "1.0",
      id: "01ARZ3NDEKTSV4RRFFQ69G5FAV",
      source: "shop",
      type: "shop.order-placed",
      time: "2026-01-31T12:00:00.123Z",
      datacontenttype: "application/json",
      correlationid: "c1",
      conversationid: "c2",
      causationid: "c3",
      partitionkey: 'key "1" \\ ü',
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      tracestate: "vendor=1",
      data: envelope.data,
    });
  });

  test("what an envelope does not have is not an attribute", () => {
    const keys = Object.keys(JSON.parse(cloudEvents.encode(sparse).body.toString()));
    expect(keys.filter((key) => ["causationid", "partitionkey", "traceparent", "tracestate"].includes(key))).toEqual([]);
  });

  test("what was written is read as it was", () => {
    for (const each of [envelope, sparse]) {
      const { contentType, body } = cloudEvents.encode(each);
      expect(cloudEvents.decode(body, { contentType }, {})).toEqual(each);
    }
  });

  test("dataText is written as it is, and data is then not encoded", () => {
    const data = {
      toJSON(): never {
        throw new Error("must not be called");
      },
    };
    const { body } = cloudEvents.encode({ ...envelope, data, dataText: '{"kept":true}' });
    expect(JSON.parse(body.toString())).toMatchObject({ data: { kept: true } });
  });

  test("data that JSON cannot carry is an InvalidMessageError", () => {
    expect(() => cloudEvents.encode({ ...envelope, data: { price: 1n } })).toThrow(InvalidMessageError);
  });

  test("time, type and source of each envelope are its own, although the text of the last is kept", () => {
    const first = { sentAt: new Date("2026-01-31T12:00:00.001Z"), messageType: "shop.order-placed", source: "shop" };
    const given = [
      first,
      { ...first, sentAt: new Date(first.sentAt) },
      { ...first, messageType: "shop.paid" },
      { ...first, messageType: "shop.paid", source: "till" },
      { ...first, source: "till" },
      { ...first, sentAt: new Date("1999-12-31T23:59:59.999Z") },
    ];
    const written = given.map((own) => JSON.parse(cloudEvents.encode({ ...envelope, ...own }).body.toString()));
    expect(written.map(({ time, type, source }) => ({ sentAt: new Date(time), messageType: type, source }))).toEqual(given);
  });

  test("ids that are alike and ids that are not are each written as they are", () => {
    for (const messageId of ["a", 'a "quoted"'])
      for (const correlationId of [messageId, "b"])
        for (const conversationId of [messageId, "b", "c"]) {
          const ids = { messageId, correlationId, conversationId };
          const { body, contentType } = cloudEvents.encode({ ...envelope, ...ids });
          expect(cloudEvents.decode(body, { contentType }, {})).toMatchObject(ids);
        }
  });

  test("every character of an attribute is either escaped and read as it was, or refused", () => {
    const refused: number[] = [];
    for (const code of [...Array(0x300).keys(), 0x2028, 0xd7ff, 0xd800, 0xdc00, 0xdfff, 0xe000, 0xfffe, 0xffff]) {
      const partitionKey = `a${String.fromCharCode(code)}b`;
      try {
        const { body, contentType } = cloudEvents.encode({ ...envelope, partitionKey });
        expect(cloudEvents.decode(body, { contentType }, {}).partitionKey).toBe(partitionKey);
      } catch (error) {
        if (!(error instanceof InvalidMessageError)) throw error;
        refused.push(code);
      }
    }
    const controls = [...Array(0x20).keys(), ...Array.from({ length: 0x21 }, (_, i) => 0x7f + i)];
    expect(refused).toEqual([...controls, 0xd800, 0xdc00, 0xdfff]);
  });

  test("data as deep as may be written can be read", () => {
    let data: unknown = 1;
    for (let i = 0; i < MAX_JSON_DEPTH; i++) {
      try {
        const { body, contentType } = cloudEvents.encode({ ...envelope, data });
        if (i % 50 === 0 || i > 980) cloudEvents.decode(body, { contentType }, {});
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidMessageError);
        expect(i).toBeGreaterThan(980);
        return;
      }
      data = [data];
    }
    expect.unreachable();
  });
});

describe("reading structured mode", () => {
  test("attributes that are absent, null or empty have their defaults", () => {
    const before = Date.now();
    for (const nothing of [undefined, null, ""]) {
      const read = readStructured(document({ time: nothing, correlationid: nothing, causationid: nothing, traceparent: nothing }));
      expect(read).toMatchObject({
        messageId: "id-1",
        correlationId: "id-1",
        conversationId: "id-1",
        causationId: undefined,
        traceparent: undefined,
      });
      expect(read.sentAt.getTime()).toBeGreaterThanOrEqual(before);
    }
    expect(readStructured(document({ correlationid: "c" }))).toMatchObject({ correlationId: "c", conversationId: "c" });
  });

  test.each([STRUCTURED, "Application/CloudEvents+JSON", `${STRUCTURED}; charset=UTF-8`, ` ${STRUCTURED} ;x=y`])(
    "the content type may be written %j",
    (contentType) => {
      expect(readStructured(document(), contentType).messageId).toBe("id-1");
    },
  );

  test("without a content type the body is read as structured", () => {
    expect(cloudEvents.decode(bytes(document()), {}, {}).messageId).toBe("id-1");
    expect(cloudEvents.decode(bytes(document()), { contentType: "" }, { "tenant-id": "t" }).messageId).toBe("id-1");
  });

  test("a byte order mark is skipped", () => {
    expect(readStructured(`\ufeff${JSON.stringify(document())}`).messageId).toBe("id-1");
  });

  test.each([
    ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"],
    ["2026-01-31t12:00:00z", "2026-01-31T12:00:00.000Z"],
    ["2026-01-31T12:00:00.5+01:30", "2026-01-31T10:30:00.500Z"],
    ["2026-01-31T12:00:00.123456789-00:00", "2026-01-31T12:00:00.123Z"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
  ])("the time %s is read", (time, expected) => {
    expect(readStructured(document({ time })).sentAt.toISOString()).toBe(expected);
  });

  test("a date that is changed by whoever got it is not the date of the next message", () => {
    readStructured(document()).sentAt.setFullYear(1900);
    expect(readStructured(document()).sentAt.toISOString()).toBe("2026-01-31T12:00:00.000Z");
  });

  test.each([
    ["specversion", undefined],
    ["specversion", "0.3"],
    ["specversion", 1],
    ["id", undefined],
    ["id", null],
    ["id", ""],
    ["id", 7],
    ["id", "x".repeat(129)],
    ["id", "a\nb"],
    ["id", "a\u0000b"],
    ["id", "\ud800"],
    ["type", undefined],
    ["type", ""],
    ["type", ["a"]],
    ["type", "x".repeat(201)],
    ["source", undefined],
    ["source", {}],
    ["time", "yesterday"],
    ["time", "2026-01-31"],
    ["time", "2026-13-31T12:00:00Z"],
    ["time", "2026-01-31T25:00:00Z"],
    ["time", "+300000-01-01T00:00:00Z"],
    ["time", "300000-01-01T00:00:00Z"],
    ["time", 1769860800000],
    ["time", `2026-01-31T12:00:00.${"0".repeat(100_000)}Z`],
    ["correlationid", 1],
    ["correlationid", "x".repeat(129)],
    ["conversationid", {}],
    ["causationid", []],
    ["partitionkey", false],
    ["partitionkey", "x".repeat(129)],
    ["traceparent", 0],
    ["tracestate", {}],
    ["datacontenttype", 1],
  ])("a wrong %s (%j) makes the body undecodable, and the text names it", (name, value) => {
    expect(() => readStructured(document({ [name]: value }))).toThrow(UndecodableError);
    expect(() => readStructured(document({ [name]: value }))).toThrow(`"${name}"`);
  });

  test("an id of 128 characters beyond ASCII is read", () => {
    expect(readStructured(document({ id: `${"ü".repeat(126)}🚎` })).messageId).toHaveLength(128);
  });

  test("trace context that is too long is dropped, and the message is read", () => {
    expect(readStructured(document({ tracestate: "x".repeat(513) }))).toMatchObject({ messageId: "id-1", tracestate: undefined });
  });

  test("the text of an error stays short and on one line, whatever came", () => {
    const error = catching(() => readStructured(document({ time: `bad\n${"x".repeat(100_000)}` })));
    expect(error.message.length).toBeLessThan(500);
    expect(error.message).not.toContain("\n");
  });

  test.each(["null", "[]", '"text"', "7", "true"])("%s is no event", (text) => {
    expect(() => readStructured(text)).toThrow(UndecodableError);
    expect(() => readStructured(text)).toThrow("not a CloudEvent");
  });

  test("bytes that are not UTF-8 are undecodable, not question marks", () => {
    const body = Buffer.concat([bytes(document()).subarray(0, -2), Buffer.from([0xff, 0xfe, 0x22, 0x7d])]);
    expect(() => cloudEvents.decode(body, { contentType: STRUCTURED }, {})).toThrow("not UTF-8");
    expect(() => cloudEvents.decode(Buffer.from([0xc0, 0xaf]), { contentType: STRUCTURED }, {})).toThrow(UndecodableError);
  });

  test("an event without data is read, with data undefined", () => {
    expect(readStructured(document({ data: undefined })).data).toBeUndefined();
  });

  test("data_base64 is read when it is JSON, and refused when it is not or comes beside data", () => {
    const encoded = bytes({ orderId: "o2" }).toString("base64");
    const changes = { data: undefined, data_base64: encoded };
    expect(readStructured(document({ ...changes, datacontenttype: "application/json" })).data).toEqual({ orderId: "o2" });
    expect(readStructured(document({ ...changes, datacontenttype: "application/x+json; v=1" })).data).toEqual({ orderId: "o2" });
    for (const datacontenttype of ["application/octet-stream", undefined]) {
      expect(() => readStructured(document({ ...changes, datacontenttype }))).toThrow("data_base64");
    }
    expect(() => readStructured(document({ data_base64: encoded, datacontenttype: "application/json" }))).toThrow("both");
    expect(() => readStructured(document({ ...changes, data_base64: "!!", datacontenttype: "application/json" }))).toThrow(
      UndecodableError,
    );
  });

  test("keys that change prototypes make the body undecodable, wherever they stand", () => {
    const text = JSON.stringify(document());
    for (const key of ["__proto__", "constructor", "\\u005f_proto__"]) {
      expect(() => readStructured(text.replace('"data":{', `"data":{"${key}":{"polluted":true},`))).toThrow(UndecodableError);
      expect(() => readStructured(text.replace("{", `{"${key}":{"polluted":true},`))).toThrow(UndecodableError);
    }
    expect((Object.prototype as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});

describe("reading binary mode", () => {
  test.each(["ce-", "ce_", "cloudEvents:", "cloudEvents_", "CE-", "Ce_"])("attributes are headers with the prefix %j", (prefix) => {
    const headers = Object.fromEntries(
      Object.entries({ ...document({ time: "2026-01-31T12:00:00Z", partitionkey: "k", correlationid: "c", data: "" }) }).map(
        ([name, value]) => [`${prefix}${name}`, String(value)],
      ),
    );
    expect(readBinary({ orderId: "o1" }, headers)).toEqual({
      messageId: "id-1",
      messageType: "shop.order-placed",
      source: "/shop",
      sentAt: new Date("2026-01-31T12:00:00Z"),
      correlationId: "c",
      conversationId: "c",
      causationId: undefined,
      partitionKey: "k",
      traceparent: undefined,
      tracestate: undefined,
      data: { orderId: "o1" },
    });
  });

  test.each(["application/json", "application/json; charset=utf-8", "application/vnd.shop.order+json", "text/json", ""])(
    "the content type may be %j",
    (contentType) => {
      expect(readBinary({ orderId: "o1" }, binaryHeaders, contentType).data).toEqual({ orderId: "o1" });
    },
  );

  test("other headers do not matter", () => {
    expect(readBinary({}, { ...binaryHeaders, id: "wrong", "tb-attempt": "3", constructor: "x", ce: "y" }).messageId).toBe("id-1");
  });

  test("plain JSON without the headers is undecodable, and the text says how both modes look", () => {
    expect(() => readBinary(document(), {})).toThrow(UndecodableError);
    expect(() => readBinary(document(), {})).toThrow(/ce-specversion.*application\/cloudevents\+json/);
  });

  test("a missing or wrong attribute is named", () => {
    expect(() => readBinary({}, { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "s" })).toThrow('"type"');
    expect(() => readBinary({}, { ...binaryHeaders, "ce-time": "soon" })).toThrow('"time"');
    expect(() => readBinary({}, { ...binaryHeaders, "ce-id": "x".repeat(129) })).toThrow('"id"');
  });

  test.each(["", "no json", '{"__proto__":1}'])("the body %j is undecodable", (body) => {
    expect(() => readBinary(body)).toThrow(UndecodableError);
  });
});

describe("content types", () => {
  test.each(["text/plain", "application/cloudevents-batch+json", "application/cloudevents+xml", "application/octet-stream", ";"])(
    "%j is refused, and named",
    (contentType) => {
      expect(() => readBinary(document(), binaryHeaders, contentType)).toThrow(UndecodableError);
      expect(() => readBinary(document(), binaryHeaders, contentType)).toThrow(JSON.stringify(contentType));
    },
  );
});

describe("whatever arrives", () => {
  const SEED = Number(process.env["SEED"] ?? 20261);
  const INPUTS = 30_000;

  test(`${INPUTS} random and mutated bodies, content types and headers (seed ${SEED}) end as an envelope or as undecodable`, () => {
    const random = new Random(SEED);
    const valid = [
      cloudEvents.encode(envelope).body,
      cloudEvents.encode(sparse).body,
      bytes(document({ data_base64: "e30=", datacontenttype: "application/json", data: undefined })),
      bytes({ orderId: "o1" }),
    ].map((body) => Buffer.from(body));
    const outcomes = { read: 0, undecodable: 0 };
    for (let i = 0; i < INPUTS; i++) {
      const body = randomBody(random, valid);
      const contentType = random.pick([STRUCTURED, STRUCTURED, "application/json", "", undefined, "x+json", `${STRUCTURED};`, "\ud800"]);
      try {
        const read = cloudEvents.decode(body, contentType === undefined ? {} : { contentType }, randomHeaders(random));
        expectSound(read);
        outcomes.read++;
      } catch (error) {
        if (!(error instanceof UndecodableError))
          throw new Error(`input ${i}, ${body.toString("base64")}: ${String(error)}`, { cause: error });
        outcomes.undecodable++;
      }
    }
    // Both ends must be reached, or nothing was tested.
    expect(outcomes.read).toBeGreaterThan(INPUTS / 20);
    expect(outcomes.undecodable).toBeGreaterThan(INPUTS / 20);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  function randomBody(random: Random, valid: readonly Buffer[]): Buffer {
    if (random.chance(0.1)) return Buffer.from(Array.from({ length: random.integer(0, 60) }, () => random.integer(0, 255)));
    if (random.chance(0.4)) return bytes(randomDocument(random));
    let body: Buffer = Buffer.from(random.pick(valid));
    for (let changes = random.integer(0, 3); changes > 0; changes--) body = mutated(body, random);
    return body;
  }

  function mutated(body: Buffer, random: Random): Buffer {
    const at = random.integer(0, Math.max(0, body.length - 1));
    switch (random.integer(0, 4)) {
      case 0:
        return body.subarray(0, at);
      case 1:
        body[at] = random.integer(0, 255);
        return body;
      case 2: {
        const inserted = random.pick(['"__proto__":1,', '"constructor":{},', "\\u005f", "\ufeff", "[[[[", '"', "\\", "null", "1e999"]);
        return Buffer.concat([body.subarray(0, at), Buffer.from(inserted), body.subarray(at)]);
      }
      case 3:
        return Buffer.concat([body.subarray(0, at), body.subarray(random.integer(at, body.length))]);
      default:
        return Buffer.concat([body, body.subarray(at)]);
    }
  }

  function randomDocument(random: Random): unknown {
    const values = [
      undefined,
      null,
      "",
      "x",
      "1.0",
      "\u0000",
      "x".repeat(200),
      0,
      -1,
      1e300,
      true,
      {},
      [],
      "2026-01-31T12:00:00Z",
      "+300000-01-01T00:00:00Z",
    ];
    const changes: Record<string, unknown> = {};
    const names = [
      "specversion",
      "id",
      "source",
      "type",
      "time",
      "datacontenttype",
      "data",
      "data_base64",
      "correlationid",
      "partitionkey",
      "traceparent",
    ];
    for (let count = random.integer(0, 2); count > 0; count--) changes[random.pick(names)] = random.pick(values);
    return document(changes);
  }

  function randomHeaders(random: Random): Record<string, string> {
    if (random.chance(0.3)) return {};
    const headers: Record<string, string> = { ...binaryHeaders };
    const names = ["ce-id", "ce-type", "ce-time", "CE_ID", "cloudEvents:time", "ce-specversion", "ce-__proto__", "tb-attempts", "ce-"];
    for (let count = random.integer(0, 2); count > 0; count--)
      headers[random.pick(names)] = random.pick(["", "1.0", "x", "-1", "1e400", "\u0000", "NaN"]);
    return headers;
  }

  function expectSound(read: Envelope): void {
    const texts = [read.messageId, read.messageType, read.source, read.correlationId, read.conversationId];
    if (!texts.every((text) => typeof text === "string" && text.length > 0)) throw new Error(`not sound: ${JSON.stringify(read)}`);
    if (Number.isNaN(read.sentAt.getTime())) throw new Error("no time");
  }
});

function catching(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("nothing was thrown");
}
