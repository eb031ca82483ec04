import { expect, test } from "vitest";
import { TrolleybusError } from "../../src/index.js";
import { testTransport } from "../../testing/conformance/index.js";
import { memory } from "../../transports/memory/index.js";

const createTransport = () => memory();
const right = { test: () => {}, createTransport };

test.each([
  [{ ...right, patince: 2 }, 'no option "patince"; did you mean "patience"?'],
  [{ ...right, patience: 0 }, "patience must be a number above 0"],
  [{ ...right, variant: { name: "eu", nameprefix: "eu." } }, 'no option "nameprefix"; did you mean "namePrefix"?'],
  [{ ...right, variant: { name: "in order", order: true } }, 'variant.order must be "key"'],
  [{ ...right, variant: 'order: "key"' }, "variant must be an object"],
  [{ ...right, describe: "conformance" }, "describe must be a function"],
  [{ ...right, cleanUp: true }, "cleanUp must be a function"],
  [{ test: () => {}, createTransport: memory() }, "createTransport must be a function"],
  [{ createTransport }, "test must be a function"],
  [createTransport, "the options must be an object"],
])("testTransport(%j) registers no test, and says what is wrong", (options, told) => {
  const registered: string[] = [];
  const given = "test" in options && typeof options === "object" ? { ...options, test: (name: string) => registered.push(name) } : options;
  expect(() => testTransport(given as never)).toThrow(TrolleybusError);
  expect(() => testTransport(given as never)).toThrow(told);
  expect(registered).toEqual([]);
});

test("all mistakes are told at once", () => {
  expect(() => testTransport({ test: 1, patience: -1, variants: [] } as never)).toThrow(
    /"variants"[\s\S]*test must[\s\S]*createTransport must[\s\S]*patience/,
  );
});
