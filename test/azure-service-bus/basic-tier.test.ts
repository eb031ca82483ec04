import { expect, test } from "vitest";
import { createBus } from "../../src/index.js";
import { azureServiceBus } from "../../transports/azure-service-bus/index.js";
import { Bench, message } from "./support/bench.js";

const bench = await Bench.start({ tier: "Basic" });

class Placed {
  static readonly messageType = "shop.placed";
  constructor(readonly orderId: string) {}
}

test("a namespace of the Basic tier has queues: commands work", async () => {
  const port = await bench.port();
  const endpoint = { name: "orders", subscribed: [], unsubscribed: [], retryDelaysMs: [], order: "none" } as const;
  await port.transport.provision({ events: [], endpoints: [endpoint] }, "create");
  const inbox = await port.receive(endpoint);
  expect(await port.send(message({ endpoint: "orders" }, "command"))).toEqual([{ outcome: "sent" }]);
  expect((await inbox.reach(1))[0]?.complete()).toBe("settled");
});

test("and no topics: a bus that subscribes to an event fails at start, and says so", async () => {
  const bus = createBus({ service: "shipping", transport: azureServiceBus(bench.broker.options) });
  bus.subscribe(Placed, () => {});
  await expect(bus.start()).rejects.toMatchObject({
    code: "topology",
    message: expect.stringMatching(/Basic tier.*no topics.*shop\.placed/s),
  });
  await bus.stop();
});

test("and no sessions: order by key fails at start, and says so", async () => {
  const bus = createBus({ service: "shipping", transport: azureServiceBus(bench.broker.options) });
  bus.endpoint("ordered", { order: "key" }).subscribe(Placed, () => {});
  await expect(bus.start()).rejects.toMatchObject({ code: "unsupported", message: expect.stringContaining("order") });
  await bus.stop();
});
