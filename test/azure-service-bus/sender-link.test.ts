import type { ServiceBusSender } from "@azure/service-bus";
import { expect, test, vi } from "vitest";
import { loadClient } from "../../transports/azure-service-bus/client.js";
import { ManagedClient } from "../../transports/azure-service-bus/connection.js";
import { resolveOptions } from "../../transports/azure-service-bus/options.js";
import { RequestTimeouts } from "../../transports/azure-service-bus/request-timeouts.js";
import { SenderLink } from "../../transports/azure-service-bus/sender-link.js";
import { SendCall, Submission } from "../../transports/azure-service-bus/submission.js";

const OPTIONS = resolveOptions({
  connectionString: "Endpoint=sb://127.0.0.1;SharedAccessKeyName=k;SharedAccessKey=s;UseDevelopmentEmulator=true",
  operationTimeout: 1000,
});
const nothing = (): void => {};
const LOGGER = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** A link of the client that looks open from here, and is never answered: what a real service shows only while it hangs. */
function hangingSender(): Partial<ServiceBusSender> {
  const size = { maxSizeInBytes: 262_144, tryAddMessage: () => true };
  return {
    createMessageBatch: () => Promise.resolve(size as never),
    sendMessages: (_messages, options) =>
      new Promise((_resolve, reject) => options?.abortSignal?.addEventListener("abort", () => reject(new Error("aborted")))),
    close: () => Promise.resolve(),
  };
}

async function hanging(): Promise<{
  readonly connection: ManagedClient;
  readonly made: () => number;
  readonly publish: () => Promise<void>;
}> {
  const client = await loadClient();
  let senders = 0;
  vi.spyOn(client.ServiceBusClient.prototype, "createSender").mockImplementation(() => {
    senders++;
    return hangingSender() as ServiceBusSender;
  });
  const connection = new ManagedClient(client, OPTIONS, "test", LOGGER);
  const owner = { limit: nothing, succeeded: nothing, failed: nothing, repair: async () => {}, idle: nothing };
  const link = new SenderLink("orders", false, connection, owner);
  connection.onReset(() => link.renew());
  const publish = (): Promise<void> =>
    new Promise((resolve) => {
      const call = new SendCall(1, () => resolve());
      link.take(new Submission({ entity: "orders", isEvent: false, message: { body: Buffer.from("{}") }, key: undefined }, call, 0));
      link.pump();
    });
  return { connection, made: () => senders, publish };
}

test("a connection that answers no send is made anew, though batches can be begun without it", async () => {
  const { connection, publish } = await hanging();
  const resets: string[] = [];
  connection.onReset((reason) => resets.push(reason));
  for (let i = 0; i < 3 && resets.length === 0; i++) await publish();
  expect(resets).toEqual(["2 requests in a row were not answered"]);
  await connection.close(performance.now());
});

test("requests that begin within one moment end by one signal, none of them before its time is up", async () => {
  const timeouts = new RequestTimeouts(200);
  const began = performance.now();
  const { current } = timeouts;
  expect(timeouts.current).toBe(current);
  await vi.waitFor(() => expect(timeouts.current).not.toBe(current));
  expect(performance.now() - began).toBeGreaterThanOrEqual(100);
  await vi.waitFor(() => expect(current.aborted).toBe(true));
  expect(performance.now() - began).toBeGreaterThanOrEqual(300);
});

test("a link that answers nothing while its connection lives is made anew", async () => {
  const { connection, made, publish } = await hanging();
  const heard = setInterval(() => connection.heard(), 50);
  for (let i = 0; i < 3 && made() === 1; i++) await publish();
  clearInterval(heard);
  expect(made()).toBe(2);
  await connection.close(performance.now());
});
