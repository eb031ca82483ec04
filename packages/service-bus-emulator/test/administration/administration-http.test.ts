import { request } from "node:http";
import { ServiceBusClient } from "@azure/service-bus";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createSharedAccessSignature } from "../../src/authorization/shared-access-signature.js";
import { type Emulator, startEmulator } from "../../src/emulator.js";

let emulator: Emulator;

beforeAll(async () => {
  emulator = await startEmulator();
});

afterAll(() => emulator.stop());

/** Closed at the end of its test; it comes back soon when it is interrupted. */
class DisposableClient extends ServiceBusClient {
  constructor(connectionString: string) {
    super(connectionString, { retryOptions: { retryDelayInMs: 100, timeoutInMs: 10_000 } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type: string | null;
}

function token(path = ""): string {
  return createSharedAccessSignature(`https://127.0.0.1:${emulator.adminPort}/${path}`, "RootManageSharedAccessKey", "SAS_KEY_VALUE");
}

async function call(
  method: string,
  path: string,
  options: { body?: string; update?: boolean; token?: string | undefined } = {},
): Promise<Answer> {
  const authorization = "token" in options ? options.token : token();
  const response = await fetch(`http://127.0.0.1:${emulator.adminPort}/${path}`, {
    method,
    headers: { ...(authorization ? { authorization } : {}), ...(options.update ? { "if-match": "*" } : {}) },
    ...(options.body === undefined ? {} : { body: options.body }),
  });
  return { status: response.status, text: await response.text(), type: response.headers.get("content-type") };
}

const entry = (content: string): string =>
  `<?xml version="1.0" encoding="utf-8"?><entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml">${content}</content></entry>`;
const NAMESPACE = 'xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"';
const queue = (properties = ""): string => entry(`<QueueDescription ${NAMESPACE}>${properties}</QueueDescription>`);

describe("The administration API", () => {
  it("answers 201 to what was created, 200 to what was changed, read or deleted", async () => {
    expect(await call("PUT", "plain?api-version=2021-05", { body: queue() })).toMatchObject({
      status: 201,
      type: "application/atom+xml;type=entry;charset=utf-8",
    });
    expect((await call("PUT", "plain", { body: queue("<LockDuration>PT10S</LockDuration>"), update: true })).status).toBe(200);
    const read = await call("GET", "PLAIN/");
    expect(read.status).toBe(200);
    expect(read.text).toContain("<LockDuration>PT10S</LockDuration>");
    expect(read.text).toContain(`<id>http://127.0.0.1:${emulator.adminPort}/plain?api-version=2021-05</id>`);
    expect(await call("DELETE", "plain")).toMatchObject({ status: 200, text: "" });
  });

  it("answers a queue or topic that does not exist as the service does: with an empty feed", async () => {
    const { status, text } = await call("GET", "nothing");
    expect(status).toBe(200);
    expect(text).toMatch(/^<feed .*Publicly Listed Services/);
    expect(text).not.toContain("<entry");
    expect((await call("DELETE", "nothing")).status).toBe(404);
    expect((await call("PUT", "nothing", { body: queue(), update: true })).status).toBe(404);
    expect((await call("GET", "nothing/Subscriptions/s")).status).toBe(404);
    expect((await call("GET", "nothing/Subscriptions/s/Rules/r")).status).toBe(404);
    expect((await call("GET", "nothing/Subscriptions")).status).toBe(404);
  });

  it("answers 401 without a token, with a wrong one, an expired one and one for another entity", async () => {
    const sign = (resource: string, key: string, lifetime?: number): string =>
      createSharedAccessSignature(resource, "RootManageSharedAccessKey", key, lifetime);
    const host = `127.0.0.1:${emulator.adminPort}`;
    for (const wrong of [
      undefined,
      "nonsense",
      sign(`sb://${host}/`, "wrong"),
      sign(`sb://${host}/`, "SAS_KEY_VALUE", -5),
      sign(`sb://${host}/other`, "SAS_KEY_VALUE"),
    ]) {
      expect(await call("GET", "nothing", { token: wrong })).toMatchObject({
        status: 401,
        text: expect.stringContaining("<Code>401</Code>"),
      });
    }
    expect((await call("GET", "nothing", { token: sign(`sb://${host}/NOTHING`, "SAS_KEY_VALUE") })).status).toBe(200);
  });

  it("answers 409 to a name that is taken, and says so with the service's code", async () => {
    await call("PUT", "taken", { body: queue() });
    expect(await call("PUT", "Taken", { body: queue() })).toMatchObject({ status: 409, text: expect.stringContaining("SubCode=40900") });
  });

  it.each([
    ["no XML", "this is no XML"],
    ["XML that is cut off", queue().slice(0, 60)],
    ["a document type", `<!DOCTYPE x [<!ENTITY a "b">]>${queue()}`],
    ["another document", "<entry/>"],
    ["another description", entry(`<QueueDescriptions ${NAMESPACE}/>`)],
    ["a wrong duration", queue("<LockDuration>1 minute</LockDuration>")],
    ["a wrong number", queue("<MaxDeliveryCount>many</MaxDeliveryCount>")],
    ["a wrong flag", queue("<RequiresSession>yes</RequiresSession>")],
    ["a lock that is too long", queue("<LockDuration>PT6M</LockDuration>")],
    ["a wrong status", queue("<Status>Sleeping</Status>")],
    ["a time that is too short", queue("<AutoDeleteOnIdle>PT1M</AutoDeleteOnIdle>")],
    ["elements that are nested too deep", entry("<a>".repeat(40) + "</a>".repeat(40))],
  ])("answers 400 to %s", async (_what, body) => {
    const { status, text } = await call("PUT", "wrong", { body });
    expect(status).toBe(400);
    expect(text).toMatch(/^<Error><Code>400<\/Code><Detail>SubCode=40\d\d\d/);
  });

  it.each(["a b", "-a", "a//b", "x".repeat(261), "ünicode"])("answers 400 to the name '%s'", async (name) => {
    expect((await call("PUT", encodeURIComponent(name), { body: queue() })).status).toBe(400);
  });

  it("takes names with slashes, points, hyphens and underscores", async () => {
    for (const name of ["a", "sales/orders.new-ones_2"]) {
      expect((await call("PUT", name, { body: queue() })).status).toBe(201);
      expect((await call("GET", encodeURIComponent(name))).text).toContain(`<title type="text">${name}</title>`);
    }
  });

  it("reads elements under any prefix, and nil as left out", async () => {
    const body = `<a:entry xmlns:a="http://www.w3.org/2005/Atom"><a:content><s:QueueDescription xmlns:s="x" xmlns:i="y">
      <s:LockDuration>PT7S</s:LockDuration><s:ForwardTo i:nil="true"/><s:UserMetadata><![CDATA[<raw> & ]]>&#65;&#x42;</s:UserMetadata></s:QueueDescription></a:content></a:entry>`;
    expect((await call("PUT", "prefixed", { body })).status).toBe(201);
    const { text } = await call("GET", "prefixed");
    expect(text).toContain("<LockDuration>PT7S</LockDuration>");
    expect(text).toContain("<UserMetadata>&lt;raw&gt; &amp; AB</UserMetadata>");
    expect(text).not.toContain("ForwardTo");
  });

  it("answers 413 to a body that is too large, 400 to a path that is wrongly encoded and 501 to messages over HTTP", async () => {
    expect((await call("PUT", "large", { body: "x".repeat(1_100_000) })).status).toBe(413);
    expect((await call("GET", "%E0%A4%A")).status).toBe(400);
    expect((await call("POST", "plain/messages", { body: "hello" })).status).toBe(501);
  });

  it("tells of a topic what Java's client needs to change it, and how many rules of each kind its subscriptions have", async () => {
    await call("PUT", "counted", { body: entry(`<TopicDescription ${NAMESPACE}></TopicDescription>`) });
    await call("PUT", "counted/subscriptions/s", { body: entry(`<SubscriptionDescription ${NAMESPACE}></SubscriptionDescription>`) });
    const filter = '<Filter i:type="CorrelationFilter"><Label>l</Label></Filter>';
    const rule = `<RuleDescription ${NAMESPACE} xmlns:i="http://www.w3.org/2001/XMLSchema-instance">${filter}</RuleDescription>`;
    expect(await call("PUT", "counted/subscriptions/s/rules/r", { body: entry(rule) })).toMatchObject({ status: 201 });
    const { text } = await call("GET", "counted");
    expect(text).toContain("<EnableSubscriptionPartitioning>false</EnableSubscriptionPartitioning>");
    expect(text).toContain("<SqlFilterCount>1</SqlFilterCount><CorrelationFilterCount>1</CorrelationFilterCount>");
  });

  it("keeps a connection open for longer than clients keep it for their next request", async () => {
    const response = await fetch(`http://127.0.0.1:${emulator.adminPort}/health`);
    await response.text();
    const [, seconds] = /timeout=(\d+)/.exec(response.headers.get("keep-alive") ?? "") ?? [];
    // Go's client keeps it for 90 seconds.
    expect(Number(seconds)).toBeGreaterThan(90);
  });

  it("lists page by page with a link to the next", async () => {
    for (let i = 0; i < 3; i++) await call("PUT", `list-${i}`, { body: queue() });
    const first = await call("GET", "$Resources/Queues?$skip=0&$top=2&api-version=2021-05");
    expect(first.type).toContain("type=feed");
    expect(first.text.match(/<entry/g)).toHaveLength(2);
    const next = /<link rel="next" href="([^"]+)"/.exec(first.text)?.[1]?.replaceAll("&amp;", "&");
    expect(next).toContain("$skip=2&$top=2");
    expect((await call("GET", "$Resources/Queues?$skip=many")).status).toBe(400);
    expect((await call("GET", "$Resources/Queues?$skip=100000")).text).not.toContain("<entry");
  });

  it("survives requests that are no HTTP, and goes on", async () => {
    await new Promise<void>((resolve) => {
      const garbage = request({
        port: emulator.adminPort,
        host: "127.0.0.1",
        method: "PUT",
        path: "/x",
        headers: { "content-length": "100" },
      });
      garbage.on("error", () => resolve());
      garbage.write("abc");
      setImmediate(() => garbage.destroy());
    });
    expect((await call("GET", "taken")).status).toBe(200);
  });
});

describe("The health page", () => {
  it("answers without a token", async () => {
    const response = await fetch(`http://127.0.0.1:${emulator.adminPort}/health`);
    expect([response.status, await response.json()]).toEqual([200, { status: "healthy", message: "Service healthy." }]);
  });
});

describe("The fault hooks", () => {
  const hook = (path: string, method = "POST"): Promise<Answer> => call(method, `_emulator/${path}`, { token: undefined });

  it("throttle sends for some time", async () => {
    const faulty = emulator.namespace.createQueue("faulty");
    expect((await hook("throttle?milliseconds=60000")).status).toBe(200);
    expect(() => faulty.send([])).toThrow("throttled");
    expect((await hook("throttle?milliseconds=0")).status).toBe(200);
    faulty.send([]);
  });

  it("let locks end", async () => {
    await using client = new DisposableClient(emulator.connectionString);
    emulator.namespace.createQueue("locked");
    await client.createSender("locked").sendMessages({ body: "1" });
    const [first] = await client.createReceiver("locked").receiveMessages(1);
    expect((await hook("expire-locks")).status).toBe(200);
    const receiver = client.createReceiver("locked");
    const [again] = await receiver.receiveMessages(1);
    expect([first?.deliveryCount, again?.deliveryCount]).toEqual([0, 1]);
  });

  it.each(["detach-links", "drop-connections"])(
    "%s: a subscriber is interrupted, and gets messages again when it is back",
    async (name) => {
      await using client = new DisposableClient(emulator.connectionString);
      const queueName = `interrupted-${name}`;
      const interrupted = emulator.namespace.createQueue(queueName);
      const received: unknown[] = [];
      const subscriber = client.createReceiver(queueName).subscribe({
        processMessage: async ({ body }) => void received.push(body),
        processError: async () => undefined,
      });
      await vi.waitFor(() => expect(interrupted.hasReceivers).toBe(true), 20_000);
      expect((await hook(name)).status).toBe(200);
      await vi.waitFor(() => expect(interrupted.hasReceivers).toBe(false), 20_000);
      await vi.waitFor(() => expect(interrupted.hasReceivers).toBe(true), 20_000);
      await client.createSender(queueName).sendMessages({ body: "back" });
      await vi.waitFor(() => expect(received).toEqual(["back"]), 20_000);
      await subscriber.close();
    },
    60_000,
  );

  it("say which there are, and that they are called with POST", async () => {
    expect(await hook("explode")).toMatchObject({ status: 404, text: expect.stringContaining("detach-links") });
    expect((await hook("throttle", "GET")).status).toBe(405);
    expect((await hook("throttle?milliseconds=soon")).status).toBe(400);
  });
});
