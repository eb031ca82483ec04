import { expect, test } from "vitest";
import { InvalidMessageError } from "../../../src/errors.js";
import { keepWireData, keepWireText, wireTextOf } from "../../../src/messages/wire-text.js";

test("a message of a class written by hand travels as its own JSON, as it is at the call", () => {
  const message = { orderId: "o1" };
  expect(wireTextOf(message)).toBe('{"orderId":"o1"}');
  message.orderId = "o2";
  expect(wireTextOf(message)).toBe('{"orderId":"o2"}');
});

test("kept text travels instead of the message, which shows nothing of it, not even when frozen or copied", () => {
  const message = { at: new Date(0) };
  keepWireText(message, '{"at":"raw"}');
  Object.freeze(message);
  expect(wireTextOf(message)).toBe('{"at":"raw"}');
  expect(Reflect.ownKeys(message)).toEqual(["at"]);
  expect(wireTextOf({ ...message })).toBe('{"at":"1970-01-01T00:00:00.000Z"}');
});

test("kept data is encoded when it is asked for, once", () => {
  let encoded = 0;
  const message = {};
  keepWireData(message, { toJSON: () => ({ times: ++encoded }) });
  expect(encoded).toBe(0);
  expect(wireTextOf(message)).toBe('{"times":1}');
  expect(wireTextOf(message)).toBe('{"times":1}');
});

test("what cannot be encoded is refused", () => {
  expect(() => wireTextOf({ price: 1n })).toThrow(InvalidMessageError);
});
