import { expect, test } from "vitest";
import { ScriptedDelivery } from "../../support/scripted-delivery.js";
import { Placed, testBus } from "../../support/test-bus.js";
import { until } from "../../support/until.js";

test("a delivery that the transport itself cannot settle is told of, and holds nothing up: neither its neighbours nor the stop", async () => {
  const { bus, transport, logger } = testBus({ deduplication: false });
  bus.subscribe(Placed, () => {});
  await bus.start();
  const whole = transport.deliverMessage("shop", "shop.placed", { n: 1 });
  await whole.answered;
  const broken = new ScriptedDelivery({ body: whole.body, properties: whole.properties });
  Object.defineProperty(broken, "complete", {
    value: () => {
      throw new Error("a defect of the adapter");
    },
  });
  transport.sinks.get("shop")?.deliver(broken);
  await until("it is told of", () => logger.texts("error").length === 1);
  expect(logger.texts("error")[0]).toContain('A delivery at endpoint "shop" could not be settled');
  expect(bus.health().endpoints[0]?.inFlight).toBe(0);
  expect((await transport.deliverMessage("shop", "shop.placed", { n: 2 }).answered).verb).toBe("complete");
  await bus.stop();
});

test("deliveries that come before the receiver is there are handled like any other", async () => {
  const { bus, transport } = testBus({ deduplication: false });
  bus.subscribe(Placed, () => {});
  let early: ScriptedDelivery | undefined;
  transport.onReceive = () => {
    early = transport.deliverMessage("shop", "shop.placed", { n: 1 });
  };
  await bus.start();
  expect((await early?.answered)?.verb).toBe("complete");
  await bus.stop();
});
