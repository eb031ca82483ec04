import { describe, expect, it } from "vitest";
import { type AmqpValue, double, int, long } from "../../src/amqp/values.js";
import { PropertyIndex, readApplicationProperties, readProperties } from "../../src/broker/message-sections.js";
import type { MessageContent } from "../../src/broker/queued-message.js";
import { RuleMessage } from "../../src/broker/rule-message.js";
import { compileAction } from "../../src/filters/action.js";
import { FilterError } from "../../src/filters/filter-error.js";
import { message } from "../support/broker.js";

const POSITION = { sequence: 1, enqueuedTime: 0 };

function act(expression: string, properties: Record<string, AmqpValue> = {}, parameters?: Map<string, AmqpValue>): MessageContent {
  const content = { ...message("body", { subject: "old", session: "s", properties }), sessionId: "s", hops: 0 };
  const copy = new RuleMessage(content, POSITION);
  compileAction({ expression, parameters })(copy);
  return copy.changed;
}

const properties = (content: MessageContent): Record<string, AmqpValue> => Object.fromEntries(readApplicationProperties(content.bare));

describe("A SQL action", () => {
  it("sets new properties in the type of their expression", () => {
    expect(properties(act("SET a = 1; SET b = 1.5; SET c = 'x'; SET d = TRUE; SET e = 1 + 1;"))).toEqual({
      a: long(1n),
      b: double(1.5),
      c: "x",
      d: true,
      e: long(2n),
    });
  });

  it("keeps the type of a property that it changes, where the value fits", () => {
    const before = { i: int(10), s: "text", d: double(1), small: { type: "ubyte", value: 1 } as const };
    expect(properties(act("SET i = i / 3 SET s = 5 SET d = 2 SET small = 300", before))).toEqual({
      i: int(3),
      s: "5",
      d: double(2),
      small: long(300n),
    });
  });

  it("finds a property under any letter case and keeps the name that it has", () => {
    expect(properties(act("SET COLOR = 'blue'", { Color: "red" }))).toEqual({ Color: "blue" });
  });

  it("uses what earlier statements set", () => {
    expect(properties(act("SET a = 2; SET b = a * 3", {}))).toEqual({ a: long(2n), b: long(6n) });
  });

  it("removes properties, and does not mind those that are not there", () => {
    expect(properties(act("REMOVE a; REMOVE [b c]; REMOVE missing", { a: int(1), "b c": int(2), d: int(3) }))).toEqual({ d: int(3) });
  });

  it("sets nothing when the expression is unknown", () => {
    expect(properties(act("SET a = missing + 1", { b: int(1) }))).toEqual({ b: int(1) });
  });

  it("changes system properties", () => {
    const changed = act("SET sys.Label = 'new'; SET sys.SessionId = 't'; SET sys.To = sys.MessageId; REMOVE sys.ReplyTo");
    const fields = readProperties(changed.bare);
    expect(fields[PropertyIndex.subject]).toBe("new");
    expect(fields[PropertyIndex.to]).toBe("body");
    expect(fields[PropertyIndex.replyTo]).toBeNull();
    expect(changed.sessionId).toBe("t");
  });

  it("takes parameters", () => {
    expect(properties(act("SET a = @v", {}, new Map([["@v", int(5)]])))).toEqual({ a: long(5n) });
  });

  it("leaves every other byte as it is", () => {
    const content = act("SET a = 1", { z: double(3) });
    expect(content.bare.includes(Buffer.from("body"))).toBe(true);
    expect(act("REMOVE missing").bare.equals(message("body", { subject: "old", session: "s" }).bare)).toBe(true);
  });

  it("fails for system properties that do not exist or cannot be set", () => {
    expect(() => act("SET sys.NoSuch = 1")).toThrow(FilterError);
    expect(() => act("SET sys.SequenceNumber = 1")).toThrow("cannot be set");
  });

  it.each([[""], ["SET"], ["SET a"], ["SET a ="], ["SET a = 1 b = 2"], ["REMOVE"], ["DELETE a"], ["SET a = 1 = 2"], ["SET a = 'x"]])(
    "is refused when it cannot be read: %s",
    (expression) => {
      expect(() => compileAction({ expression })).toThrow(FilterError);
    },
  );
});
