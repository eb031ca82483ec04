import { expect, test } from "vitest";
import { copyProperties } from "../../../src/messages/copy-properties.js";

test("no setter of a prototype is called, no read-only accessor refuses, no method stays in the way", () => {
  const called: string[] = [];
  class Base {
    set inherited(value: unknown) {
      called.push(`inherited ${value}`);
    }
  }
  class Target extends Base {
    set written(value: unknown) {
      called.push(`written ${value}`);
    }
    get readable(): number {
      return 1;
    }
    method(): number {
      return 2;
    }
  }
  const target = new Target();
  const source = { inherited: 1, written: 2, readable: 3, method: 4, toString: 5, plain: 6 };
  copyProperties(target, source);
  expect(called).toEqual([]);
  expect(Object.entries(target)).toEqual(Object.entries(source));
  expect(Object.getOwnPropertyDescriptor(target, "readable")).toEqual({ value: 3, writable: true, enumerable: true, configurable: true });
});

test("a key __proto__ becomes a property and leaves the prototype alone", () => {
  const target = {};
  copyProperties(target, JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as object);
  expect(Object.getPrototypeOf(target)).toBe(Object.prototype);
  expect(Object.keys(target)).toEqual(["__proto__", "constructor"]);
  expect("polluted" in target).toBe(false);
});

test("what is inherited, not enumerable or a symbol stays behind", () => {
  const source = Object.create({ inherited: 1 }, { hidden: { value: 2, enumerable: false }, own: { value: 3, enumerable: true } });
  source[Symbol("s")] = 4;
  const target: Record<string, unknown> = {};
  copyProperties(target, source);
  expect(Reflect.ownKeys(target)).toEqual(["own"]);
});
