import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import type { WireFormat } from "../../../src/contracts/wire-format.js";
import { cloudEvents } from "../../../src/wire/cloud-events.js";
import { UndecodableError } from "../../../src/wire/undecodable-error.js";
import { WireFormats } from "../../../src/wire/wire-formats.js";

const body = Buffer.from(JSON.stringify({ specversion: "1.0", id: "id-1", source: "shop", type: "shop.x", data: {} }));

/** A format that answers with its own name as the id, to be seen who read. */
function format(name: string, ...contentTypes: string[]): WireFormat {
  return {
    ...cloudEvents,
    name,
    contentTypes,
    decode: () => ({ ...cloudEvents.decode(body, {}, {}), messageId: name }),
  };
}

const formats = new WireFormats([cloudEvents, format("masstransit", "application/vnd.masstransit+json"), format("xml", "application/xml")]);

test("the first format writes", () => {
  expect(formats.writer).toBe(cloudEvents);
});

test.each([
  ["application/cloudevents+json", "id-1"],
  ["APPLICATION/CloudEvents+JSON; charset=utf-8", "id-1"],
  ["application/vnd.masstransit+json", "masstransit"],
  ["application/vnd.masstransit+json;v=8", "masstransit"],
  ["application/xml", "xml"],
  ["", "id-1"],
  [undefined, "id-1"],
])("the content type %j is read by its format (%s)", (contentType, messageId) => {
  const properties = contentType === undefined ? {} : { contentType };
  expect(formats.decode(body, properties, {}).messageId).toBe(messageId);
});

test("other JSON goes to the format that reads application/json", () => {
  const headers = { "ce-specversion": "1.0", "ce-id": "binary", "ce-source": "s", "ce-type": "t" };
  expect(formats.decode(body, { contentType: "application/vnd.shop+json" }, headers).messageId).toBe("binary");
  const without = new WireFormats([format("masstransit", "application/vnd.masstransit+json")]);
  expect(() => without.decode(body, { contentType: "application/vnd.shop+json" }, {})).toThrow(UndecodableError);
});

test("a content type that nothing reads is named, with those that are read", () => {
  expect(() => formats.decode(body, { contentType: "text/plain" }, {})).toThrow(UndecodableError);
  expect(() => formats.decode(body, { contentType: "text/plain" }, {})).toThrow(
    /"text\/plain".*application\/cloudevents\+json.*application\/xml/,
  );
  expect(() => formats.decode(body, { contentType: "__proto__" }, {})).toThrow(UndecodableError);
});

test("whatever a format throws makes the body undecodable, with that as the cause", () => {
  const cause = new TypeError("a bug of the format");
  const broken: WireFormat = {
    ...format("broken", "application/broken"),
    decode: () => {
      throw cause;
    },
  };
  const withBroken = new WireFormats([cloudEvents, broken]);
  try {
    withBroken.decode(body, { contentType: "application/broken" }, {});
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(UndecodableError);
    expect(error).toMatchObject({ cause, message: expect.stringContaining('"broken"') });
  }
});

test("no format at all, and two that read the same, are mistakes", () => {
  expect(() => new WireFormats([])).toThrow("at least one");
  expect(() => new WireFormats([cloudEvents, format("other", "application/json")])).toThrow(
    /"cloudevents" and "other" both read "application\/json"/,
  );
});
