import { beforeEach, expect, test, vi } from "vitest";
import { loadClient } from "../../transports/azure-service-bus/client.js";
import { ManagedClient } from "../../transports/azure-service-bus/connection.js";
import { AzureServiceBusError } from "../../transports/azure-service-bus/errors.js";
import { resolveOptions } from "../../transports/azure-service-bus/options.js";

const OPERATION_TIMEOUT_MS = 8_000;
const OPTIONS = resolveOptions({
  connectionString: "Endpoint=sb://127.0.0.1;SharedAccessKeyName=k;SharedAccessKey=s;UseDevelopmentEmulator=true",
  operationTimeout: OPERATION_TIMEOUT_MS,
});
const nothing = (): void => {};
const LOGGER = { debug: nothing, info: nothing, warn: nothing, error: nothing };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
  return () => vi.useRealTimers();
});

async function connected(): Promise<{ readonly connection: ManagedClient; readonly resets: string[] }> {
  const connection = new ManagedClient(await loadClient(), OPTIONS, "test", LOGGER);
  const resets: string[] = [];
  connection.onReset((reason) => resets.push(reason));
  vi.advanceTimersByTime(60_000);
  connection.heard();
  return { connection, resets };
}

const notAnswered = (): AzureServiceBusError => new AzureServiceBusError("timeout", "not answered", { retryable: true });

test("a connection on which nothing is heard while two requests wait in vain is made anew", async () => {
  const { connection, resets } = await connected();
  vi.advanceTimersByTime(OPERATION_TIMEOUT_MS);
  connection.failed(notAnswered(), connection.client);
  expect(resets).toEqual([]);
  connection.failed(notAnswered(), connection.client);
  expect(resets).toEqual(["2 requests in a row were not answered"]);
});

test("requests that hang with their links end no connection that was heard of meanwhile: its sessions, and what is being settled, would be lost", async () => {
  const { connection, resets } = await connected();
  vi.advanceTimersByTime(OPERATION_TIMEOUT_MS - 1);
  connection.heard();
  vi.advanceTimersByTime(OPERATION_TIMEOUT_MS - 1);
  for (let i = 0; i < 4; i++) connection.failed(notAnswered(), connection.client);
  expect(resets).toEqual([]);
});
