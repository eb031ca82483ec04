import { describe, expect, test } from "vitest";
import type { TransportConfig } from "../../src/contracts/bus-options.js";
import { azureServiceBus, transportFromConfig, transportFromUrl } from "../../transports/azure-service-bus/index.js";
import { optionsFromConfig, optionsFromUrl, resolveOptions } from "../../transports/azure-service-bus/options.js";

const KEY = "c2VjcmV0LWtleQ==";
const CONNECTION_STRING = `Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=${KEY}`;
const credential = { getToken: async () => ({ token: "t", expiresOnTimestamp: 0 }) };

function mistakesOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    expect(error).toMatchObject({ code: "configuration", retryable: false });
    return (error as Error).message;
  }
  throw new Error("nothing was found wrong");
}

describe("the namespace may be given", () => {
  test("as a connection string, as Azure's portal gives it", () => {
    expect(resolveOptions({ connectionString: CONNECTION_STRING })).toEqual({
      authority: {
        by: "key",
        address: {
          host: "shop.servicebus.windows.net",
          port: undefined,
          policy: "RootManageSharedAccessKey",
          key: KEY,
          isDevelopment: false,
        },
      },
      adminPort: undefined,
      lockDurationMs: 60_000,
      operationTimeoutMs: 10_000,
    });
  });

  test("as the connection string of an emulator, whose administration has a port of its own", () => {
    const text = "Endpoint=sb://127.0.0.1:5673;SharedAccessKeyName=Root;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;";
    expect(resolveOptions({ connectionString: text })).toMatchObject({
      authority: { address: { host: "127.0.0.1", port: 5673, isDevelopment: true } },
      adminPort: 5300,
    });
    expect(resolveOptions({ connectionString: text, adminPort: 5301 }).adminPort).toBe(5301);
  });

  test("as a URL, with options as parameters", () => {
    const url = `sb://Root:${encodeURIComponent(KEY)}@localhost:5673?development=true&admin-port=5301&lock-duration=30s&operation-timeout=5s`;
    expect(optionsFromUrl(url)).toEqual({
      authority: { by: "key", address: { host: "localhost", port: 5673, policy: "Root", key: KEY, isDevelopment: true } },
      adminPort: 5301,
      lockDurationMs: 30_000,
      operationTimeoutMs: 5_000,
    });
  });

  test("as text that is a connection string, where a URL is taken", () => {
    expect(optionsFromUrl(` ${CONNECTION_STRING}`)).toEqual(resolveOptions({ connectionString: CONNECTION_STRING }));
  });

  test("by its host name with a credential of Microsoft Entra ID", () => {
    expect(resolveOptions({ fullyQualifiedNamespace: "shop.servicebus.windows.net", credential }).authority).toEqual({
      by: "credential",
      namespace: "shop.servicebus.windows.net",
      credential,
    });
  });

  test("as plain data", () => {
    expect(optionsFromConfig({ type: "azure-service-bus", connectionString: CONNECTION_STRING, lockDuration: "5m" })).toMatchObject({
      lockDurationMs: 300_000,
    });
  });
});

describe("what is wrong is told, all at once and without a secret:", () => {
  test.each([
    ["an EntityPath", { connectionString: `${CONNECTION_STRING};EntityPath=orders` }, ["EntityPath", "whole namespace"]],
    ["no key", { connectionString: "Endpoint=sb://shop.servicebus.windows.net/" }, ["SharedAccessKeyName", "SharedAccessKey"]],
    [
      "a signature",
      { connectionString: `Endpoint=sb://shop/;SharedAccessSignature=sr=x&sig=${KEY}` },
      ["SharedAccessSignature", "expires"],
    ],
    ["no endpoint", { connectionString: `SharedAccessKeyName=a;SharedAccessKey=${KEY}` }, ["Endpoint"]],
    ["other text", { connectionString: "Server=db;Password=hunter2" }, ["Endpoint", "SharedAccessKey"]],
    ["nothing", {}, ["connectionString", "fullyQualifiedNamespace"]],
    ["both ways", { connectionString: CONNECTION_STRING, credential }, ["Leave one out"]],
    ["a namespace without credential", { fullyQualifiedNamespace: "shop.servicebus.windows.net" }, ["credential"]],
    ["a URL as namespace", { fullyQualifiedNamespace: "https://shop.servicebus.windows.net/", credential }, ["host name alone"]],
    ["an unknown option", { connectionString: CONNECTION_STRING, lockDurations: "1m" }, ["lockDurations", "lockDuration"]],
    ["a lock below 10 s", { connectionString: CONNECTION_STRING, lockDuration: "5s" }, ["lockDuration", "10 s"]],
    ["a lock over 5 min", { connectionString: CONNECTION_STRING, lockDuration: "6m" }, ["lockDuration", "300 s"]],
    ["an admin port for Azure", { connectionString: CONNECTION_STRING, adminPort: 5300 }, ["adminPort", "emulator"]],
    ["an admin port that is none", { connectionString: `${CONNECTION_STRING};UseDevelopmentEmulator=true`, adminPort: 0 }, ["65535"]],
  ])("%s", (_, options, told) => {
    const text = mistakesOf(() => azureServiceBus(options as Parameters<typeof azureServiceBus>[0]));
    for (const part of told) expect(text).toContain(part);
    for (const secret of [KEY, "hunter2"]) expect(text).not.toContain(secret);
  });

  test.each([
    ["sb://Root:c2VjcmV0LWtleQ@shop.servicebus.windows.net/orders", "path"],
    ["sb://shop.servicebus.windows.net", "policy"],
    ["sb://Root@shop.servicebus.windows.net", "key"],
    ["sb://Root:c2VjcmV0LWtleQ@", "cannot be read"],
    ["sb://Root:c2VjcmV0LWtleQ@host?development=yes", "development"],
    ["sb://Root:c2VjcmV0LWtleQ@host?prefetch=10", "prefetch"],
    ["sb://Root:c2VjcmV0LWtleQ%@host", "percent-encoded"],
  ])("the URL %s", (url, told) => {
    const text = mistakesOf(() => transportFromUrl(url));
    expect(text).toContain(told);
    expect(text).not.toContain("c2VjcmV0LWtleQ");
  });

  test("a wrong type, and every mistake of an object together", () => {
    expect(mistakesOf(() => transportFromConfig({ type: "servicebus" } as unknown as TransportConfig))).toContain("azure-service-bus");
    const text = mistakesOf(() =>
      transportFromConfig({ type: "azure-service-bus", lockDuration: "1s", colour: "red" } as unknown as TransportConfig),
    );
    for (const part of ["connectionString", "lockDuration", "colour"]) expect(text).toContain(part);
  });
});
