import { afterEach, expect, test } from "vitest";
import type { Bus, ConsumeContext } from "../../../src/index.js";
import { Placed, type TestBus, testBus } from "../../support/test-bus.js";
import { settled, until } from "../../support/until.js";

const buses: Bus[] = [];
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

async function started(consume: (message: Placed, context: ConsumeContext) => Promise<void> | void): Promise<TestBus> {
  const made = testBus({ deduplication: false });
  buses.push(made.bus);
  made.bus.subscribe(Placed, consume);
  await made.bus.start();
  return made;
}
const deliver = ({ transport }: TestBus, n: number, partitionKey?: string) =>
  transport.deliverMessage("shop", "shop.placed", { n }, { messageId: `m${n}`, partitionKey });

test("messages of one key run one after the other, immediate retries included; others do not wait", async () => {
  const events: string[] = [];
  const made = await started(async ({ n }, { attempt }) => {
    events.push(`${n} begins`);
    await settled(3);
    events.push(`${n} ends`);
    if (n === 1 && attempt === 1) throw new Error("once");
  });
  const deliveries = [deliver(made, 1, "a"), deliver(made, 2, "a"), deliver(made, 3, "b"), deliver(made, 4)];
  await Promise.all(deliveries.map(({ answered }) => answered));
  expect(events.slice(0, 3)).toEqual(["1 begins", "3 begins", "4 begins"]);
  expect(events.filter((event) => /^[12]/.test(event))).toEqual(["1 begins", "1 ends", "1 begins", "1 ends", "2 begins", "2 ends"]);
});

test("a lane goes on behind a message that is dead-lettered, busy elsewhere or lost", async () => {
  const handled: number[] = [];
  const made = await started(async ({ n }) => {
    await settled(2);
    if (n === 1) throw new Error("no");
    handled.push(n);
  });
  const deliveries = [1, 2, 3, 4].map((n) => deliver(made, n, "a"));
  deliveries[1]?.lose();
  await Promise.all(deliveries.map(({ answered }) => answered));
  expect(handled).toEqual([3, 4]);
  expect(deliveries[1]?.answer?.verb).toBe("release");
});

test("what waits behind a message when the bus stops goes back behind it", async () => {
  let end: (() => void) | undefined;
  const handled: number[] = [];
  const made = await started(({ n }) => {
    handled.push(n);
    return new Promise((resolve) => {
      end = resolve;
    });
  });
  const deliveries = [1, 2, 3].map((n) => deliver(made, n, "a"));
  await until("the first runs", () => end !== undefined);
  const stopping = made.bus.stop();
  await settled();
  expect(deliveries.map(({ answer }) => answer)).toEqual([undefined, undefined, undefined]);
  end?.();
  await stopping;
  expect(deliveries.map(({ answer }) => answer?.verb)).toEqual(["complete", "release", "release"]);
  expect(handled).toEqual([1]);
});
