import { expect, test } from "vitest";
import { readMemberData, writeMemberData } from "../../transports/kafka/member-data.js";

test("what a member tells of itself is read as it was written", () => {
  const data = {
    owned: new Map([["orders", [0, 2]]]),
    types: new Map([["shared", ["order-placed", "order-paid"]]]),
  };
  expect(readMemberData(writeMemberData(data))).toEqual(data);
  const nothing = { owned: new Map(), types: new Map() };
  expect(readMemberData(writeMemberData(nothing))).toEqual(nothing);
});

test.each(["", "no JSON", "null", "7", "[]", '{"/types":7}', '{"/types":null,"a":{}}', '{"a":"x"}'])(
  "what somebody else wrote there is taken for nothing: %s",
  (text) => {
    expect(readMemberData(Buffer.from(text))).toEqual({ owned: new Map(), types: new Map() });
  },
);

test("of what makes sense in part the rest is left out", () => {
  const { owned, types } = readMemberData(Buffer.from('{"a":[1,"2",null,3.5],"/types":{"b":["x",7],"c":"y"}}'));
  expect(owned).toEqual(new Map([["a", [1]]]));
  expect(types).toEqual(new Map([["b", ["x"]]]));
});
