import { afterEach, expect, test } from "vitest";
import { type Bus, type BusOptions, createBus } from "../../src/index.js";
import { memory } from "../../transports/memory/index.js";
import { RecordingLogger } from "../support/recording-logger.js";
import { until } from "../support/until.js";
import { at, connect, endpoint, Inbox, message, receive, sendOne } from "./harness.js";

class Step {
  static readonly messageType = "shop.step";
  constructor(readonly left: number) {}
}

const buses: Bus[] = [];
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

function busOn(transport: BusOptions["transport"], options: Partial<BusOptions> = {}): Bus {
  const bus = createBus({ service: "walk", transport, concurrency: 2, prefetch: 2, logger: new RecordingLogger(), ...options });
  buses.push(bus);
  return bus;
}

test("an endpoint whose handlers publish to itself goes on when publishers have filled it", async () => {
  const bus = busOn(memory({ maxQueueLength: 4 }));
  let ended = 0;
  bus.subscribe(Step, async ({ left }, context) => {
    if (left > 0) await context.publish(new Step(left - 1));
    else ended++;
  });
  await bus.start();

  await Promise.all(Array.from({ length: 40 }, () => bus.publish(new Step(3))));

  await until("all have gone all their steps", () => ended === 40);
  expect(bus.health()).toMatchObject({ status: "up", endpoints: [{ counts: { deadLettered: 0, retried: 0 } }] });
});

test("endpoints whose handlers publish to each other go on when publishers have filled both", async () => {
  const bus = busOn(memory({ maxQueueLength: 4 }));
  let ended = 0;
  for (const [here, there] of [
    ["ping", "pong"],
    ["pong", "ping"],
  ] as const) {
    bus.endpoint(here).subscribe(Step, async ({ left }, context) => {
      if (left > 0) await context.send(there, new Step(left - 1));
      else ended++;
    });
  }
  await bus.start();

  await Promise.all(Array.from({ length: 40 }, (_, i) => bus.send(i % 2 === 0 ? "ping" : "pong", new Step(5))));

  await until("all have gone all their steps", () => ended === 40);
});

test("handlers that publish more to their own endpoint than it can ever hold fail, with what to do, instead of waiting for themselves for ever", async () => {
  const bus = busOn(memory({ maxQueueLength: 3 }), { retry: false });
  const seen: number[] = [];
  bus.subscribe(Step, async ({ left }, context) => {
    seen.push(left);
    for (let n = 0; n < left; n++) await context.publish(new Step(0));
  });
  await bus.start();

  await bus.publish(new Step(9));
  await until("its message is a dead letter", () => bus.health().endpoints[0]?.counts.deadLettered === 1);
  await bus.publish(new Step(0));
  await until("what was taken, and what came after it, is handled", () => bus.health().endpoints[0]?.counts.handled === 6);

  expect(seen).toEqual([9, 0, 0, 0, 0, 0, 0]);
  let reason: string | undefined;
  await bus.deadLetters().process((letter) => {
    reason = letter.failure.errorMessage;
    return "keep";
  });
  expect(reason).toMatch(/"walk" has 6 messages.*its own handlers.*maxQueueLength/s);
});

test("a full endpoint takes as many again of what handlers publish, and then waits for room as it does for publishers", async () => {
  const small = endpoint("small", { subscribed: ["shop.thing"] });
  const bus = await connect(memory({ maxQueueLength: 2 }));
  await bus.provision({ events: [], endpoints: [small, endpoint("other")] }, "create");
  const command = (id: string, publishedBy?: string) => ({ ...message({ endpoint: "small" }, id), publishedBy });
  const event = (id: string, publishedBy?: string) => ({ ...message({ event: "shop.thing" }, id), publishedBy });
  const full = { outcome: "refused", error: { code: "unavailable", retryable: true } };
  const sent = { outcome: "sent" };
  for (const id of ["1", "2"]) expect(await sendOne(bus, command(id))).toEqual(sent);
  for (const made of [command("3"), event("3")]) expect(await sendOne(bus, made)).toMatchObject(full);
  expect(await sendOne(bus, command("4", "other"))).toEqual(sent);
  expect(await sendOne(bus, event("5", "small"))).toEqual(sent);
  for (const made of [command("6", "other"), event("6", "other")]) expect(await sendOne(bus, made)).toMatchObject(full);
  expect(await sendOne(bus, command("6", "small"))).toMatchObject({ outcome: "refused", error: { code: "refused", retryable: false } });

  const inbox = new Inbox();
  await receive(bus, small, inbox);
  await inbox.received(4);
  at(inbox.deliveries, 0).complete();
  expect(await sendOne(bus, command("6", "other"))).toEqual(sent);
  expect(await sendOne(bus, command("7"))).toMatchObject(full);
});
