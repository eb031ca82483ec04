import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { loadClient } from "../../transports/azure-service-bus/client.js";

test("the address of a link that is gone is undefined, where reading it in a timer would have ended the process", async () => {
  await loadClient();
  const require = createRequire(import.meta.resolve("@azure/service-bus"));
  const { Receiver } = require("rhea-promise") as { Receiver: { prototype: object } };
  const gone = Object.create(Receiver.prototype, { source: { value: undefined } }) as { address: unknown };
  const there = Object.create(Receiver.prototype, { source: { value: { address: "orders" } } }) as { address: unknown };
  expect([gone.address, there.address]).toEqual([undefined, "orders"]);
});

test("a link whose closing the service answers with an error is closed, where the client's own closing after a timeout would have ended the process", async () => {
  await loadClient();
  const require = createRequire(import.meta.resolve("@azure/service-bus"));
  const { Receiver } = require("rhea-promise") as { Receiver: { prototype: object } };
  const { close } = Object.getPrototypeOf(Receiver.prototype) as { close(this: object): Promise<unknown> };
  // Without anything that it expects, closing fails in the original as it does with an error of the service.
  await expect(close.call({ removeAllListeners: () => {} })).resolves.toBeUndefined();
});
