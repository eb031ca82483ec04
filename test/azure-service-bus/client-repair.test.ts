import { once } from "node:events";
import { createRequire } from "node:module";
import { type AddressInfo, createServer, Socket } from "node:net";
import { expect, test, vi } from "vitest";
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

test("what is written to a connection does not wait until the service has acknowledged what went before it", async () => {
  const { ServiceBusClient } = await loadClient();
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const setNoDelay = vi.spyOn(Socket.prototype, "setNoDelay");
  const { port } = server.address() as AddressInfo;
  const client = new ServiceBusClient(
    `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=k;SharedAccessKey=s;UseDevelopmentEmulator=true`,
    { retryOptions: { maxRetries: 0 } },
  );
  await expect(client.createSender("orders").createMessageBatch()).rejects.toThrow();
  expect(setNoDelay.mock.calls).toContainEqual([true]);
  setNoDelay.mockRestore();
  await client.close();
  server.close();
});
