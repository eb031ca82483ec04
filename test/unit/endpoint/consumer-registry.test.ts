import { describe, expect, test } from "vitest";
import { ConsumerRegistry } from "../../../src/endpoint/consumer-registry.js";
import type { BusOptions, IncomingContext } from "../../../src/index.js";
import { Placed, Shipped } from "../../support/test-bus.js";

const registry = (resolve?: BusOptions["resolve"]): ConsumerRegistry => new ConsumerRegistry("audit", resolve);
const contextOf = (message: object): IncomingContext => ({ message }) as IncomingContext;

class Counter {
  static made = 0;
  readonly seen: object[] = [];
  constructor() {
    Counter.made++;
  }
  async consume(message: object): Promise<void> {
    this.seen.push(message);
    expect(this).toBeInstanceOf(Counter);
  }
}

describe("a consumer may be", () => {
  test("an object: its method is called as such", async () => {
    const consumers = registry();
    const counter = new Counter();
    consumers.add([Placed, Shipped], counter as never);
    const message = new Placed(1);
    await consumers.find("shop.placed")?.invoke(contextOf(message));
    expect(counter.seen).toEqual([message]);
    expect(consumers.find("shop.shipped")?.messageClass).toBe(Shipped);
    expect(consumers.types).toEqual(["shop.placed", "shop.shipped"]);
  });

  test("a function of any kind", async () => {
    const seen: string[] = [];
    function named(): void {
      seen.push("named");
    }
    for (const [type, consumer] of [
      [Placed, () => void seen.push("arrow")],
      [Shipped, named],
    ] as const) {
      const consumers = registry();
      consumers.add(type, consumer as never);
      await consumers.find(type.messageType)?.invoke(contextOf({}));
    }
    expect(seen).toEqual(["arrow", "named"]);
  });

  test("a class: one instance a run", async () => {
    const consumers = registry();
    consumers.add(Placed, Counter as never);
    const before = Counter.made;
    for (let i = 0; i < 3; i++) await consumers.find("shop.placed")?.invoke(contextOf({}));
    expect(Counter.made - before).toBe(3);
  });

  test("a class whose consume is a field, or that a compiler made a function of", async () => {
    const seen: string[] = [];
    class WithField {
      consume = async (): Promise<void> => void seen.push("field");
    }
    function Compiled(): void {}
    Compiled.prototype.consume = (): void => void seen.push("compiled");
    for (const consumer of [WithField, Compiled]) {
      const consumers = registry();
      consumers.add(Placed, consumer as never);
      await consumers.find("shop.placed")?.invoke(contextOf({}));
    }
    expect(seen).toEqual(["field", "compiled"]);
  });

  test("a class that the resolve option makes, at once or later; what it throws is the run's failure", async () => {
    class NeedsHelp {
      constructor(readonly help: string) {}
      async consume(message: { help?: string }): Promise<void> {
        message.help = this.help;
      }
    }
    const asked: unknown[] = [];
    const consumers = registry((async (type: typeof NeedsHelp, context: unknown) => {
      asked.push(type, context);
      return new type("here");
    }) as never);
    consumers.add(Placed, NeedsHelp as never);
    const message: { help?: string } = {};
    const context = contextOf(message);
    await consumers.find("shop.placed")?.invoke(context);
    expect(message.help).toBe("here");
    expect(asked).toEqual([NeedsHelp, context]);

    const broken = registry(() => {
      throw new Error("the container is closed");
    });
    broken.add(Placed, NeedsHelp as never);
    await expect(broken.find("shop.placed")?.invoke(context)).rejects.toThrow("the container is closed");
    const useless = registry((() => ({})) as never);
    useless.add(Placed, NeedsHelp as never);
    await expect(useless.find("shop.placed")?.invoke(context)).rejects.toThrow("resolve made of type object of NeedsHelp");
  });
});

describe("refused is", () => {
  const wrong: [what: string, types: unknown, consumer: unknown, told: string][] = [
    [
      "a second consumer for a type",
      [Placed, Placed],
      () => {},
      'has a consumer for "shop.placed" already. Give the second one an endpoint of its own',
    ],
    ["no type at all", [], () => {}, "empty list"],
    ["a class without a type", class NoType {}, () => {}, "the class NoType as a message type, which has no static messageType"],
    ["an instance instead of its class", new Placed(1), () => {}, "of type object as a message type"],
    ["a wrong type", Object.assign(class {}, { messageType: "shop placed" }), () => {}, '" "'],
    ["nothing for a consumer", Placed, undefined, "undefined as a consumer"],
    ["an object without consume", Placed, { handle() {} }, "of type object as a consumer"],
    [
      "a class that needs arguments when nobody gives them",
      Placed,
      class NeedsHelp {
        constructor(readonly help: string) {}
        consume(): void {}
      },
      "NeedsHelp has 1 constructor arguments",
    ],
  ];
  test.each(wrong)("%s", (_, types, consumer, told) => {
    expect(() => registry().add(types as never, consumer as never)).toThrow(told);
  });
});
