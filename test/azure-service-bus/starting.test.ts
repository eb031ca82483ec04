import { describe, expect, onTestFinished, test } from "vitest";
import { DEVELOPMENT_KEY } from "../../packages/service-bus-emulator/src/index.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { Bench, eventually, FAILURE, message, Port } from "./support/bench.js";

const bench = await Bench.start();
const { options, port: brokerPort } = bench.broker;

async function failureOf(work: Promise<unknown>): Promise<Error & { code?: string; retryable?: boolean }> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it should have failed");
}

describe("open", () => {
  test("fails with a wrong key, and says what is wrong without the key", async () => {
    const connectionString = options.connectionString.replace(DEVELOPMENT_KEY.key, "c29tZXRoaW5nIGVsc2U=");
    const error = await failureOf(new Port({ ...options, connectionString }).open());
    expect(error).toMatchObject({ code: "configuration", retryable: false });
    expect(error.message).toMatch(/shared access policy/);
    expect(error.message).not.toMatch(/c29tZXRoaW5n/);
  });

  test("leaves no connection behind when it fails, which would keep the process alive", async () => {
    const proxy = await TcpProxy.listen({ targetPort: brokerPort, seed: 1 });
    onTestFinished(() => proxy.close());
    const { connectionString } = bench.broker.optionsThrough(proxy.port);
    const wrongKey = connectionString.replace(DEVELOPMENT_KEY.key, "c29tZXRoaW5nIGVsc2U=");
    const port = new Port({ ...options, connectionString: wrongKey });
    expect(await failureOf(port.open())).toMatchObject({ code: "configuration" });
    await eventually("the end of its connection", () => proxy.connections === 0, 5_000);
  });

  test("fails with a policy that is not known", async () => {
    const connectionString = options.connectionString.replace(DEVELOPMENT_KEY.keyName, "Nobody");
    expect(await failureOf(new Port({ ...options, connectionString }).open())).toMatchObject({ code: "configuration", retryable: false });
  });

  test("fails for a namespace that does not exist", async () => {
    const connectionString = "Endpoint=sb://there-is-no-such-namespace.invalid/;SharedAccessKeyName=Root;SharedAccessKey=a2V5";
    const error = await failureOf(new Port({ connectionString }).open());
    expect(error).toMatchObject({ code: "configuration", retryable: false });
    expect(error.message).toMatch(/there-is-no-such-namespace\.invalid.*no such namespace/);
  });

  test("tries for ever what may pass, and ends when the bus is stopped", async () => {
    const connectionString = options.connectionString.replace(String(brokerPort), "1");
    const port = new Port({ ...options, connectionString });
    const error = await failureOf(port.open("", AbortSignal.timeout(1_500)));
    expect(error).toMatchObject({ code: "unavailable", retryable: true });
    expect(port.log.filter((line) => /tried again/.test(line)).length).toBeGreaterThan(1);
  });

  test("is for one bus", async () => {
    const port = await bench.port();
    expect(await failureOf(port.open())).toMatchObject({ code: "configuration", retryable: false });
  });
});

describe("receive", () => {
  const plan = (name: string, order: "key" | "none") => ({ name, subscribed: [], unsubscribed: [], retryDelaysMs: [], order });

  test.each([
    ["none", "missing"],
    ["key", "missing"],
    ["none", "user-sessions"],
    ["key", "user-sessions"],
  ] as const)("fails at once, with order %s, when the queue is not there, called %s", async (order, name) => {
    const port = await bench.port();
    const error = await failureOf(port.receive(plan(bench.name(name), order)));
    expect(error).toMatchObject({ code: "topology", retryable: false });
    expect(error.message).toMatch(/not there.*topology: "create"/);
  });

  test("fails without order on a queue that requires sessions, and says to take another name", async () => {
    const { name } = bench.endpoint({ order: "key" });
    const error = await failureOf((await bench.port()).receive(plan(name, "none")));
    expect(error).toMatchObject({ code: "topology", retryable: false });
    expect(error.message).toMatch(/session.*another name/i);
  });

  test("fails with order on a queue without sessions, and says to take another name", async () => {
    const { name } = bench.endpoint({ order: "none" });
    const error = await failureOf((await bench.port()).receive(plan(name, "key")));
    expect(error).toMatchObject({ code: "topology", retryable: false });
    expect(error.message).toMatch(/session.*another name/i);
  });
});

describe("send", () => {
  test("refuses a command to a queue that is not there as unroutable, for good", async () => {
    const [result] = await (await bench.port()).send(message({ endpoint: bench.name("missing") }, "x"));
    expect(result).toMatchObject({ outcome: "refused", error: { code: "unroutable", retryable: false } });
  });

  test("refuses what is larger than the link takes before it leaves, and sends its neighbours", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    const large = { ...message({ endpoint: endpoint.name }, ""), body: Buffer.alloc(300_000, 1) };
    const results = await port.send(message({ endpoint: endpoint.name }, "a"), large, message({ endpoint: endpoint.name }, "b"));
    expect(results.map(({ outcome }) => outcome)).toEqual(["sent", "refused", "sent"]);
    expect(results[1]).toMatchObject({ error: { code: "too-large", retryable: false } });
    expect(results[1]?.outcome === "refused" && results[1].error.message).toMatch(/MessageSizeExceeded/);
    expect(port.transport.capabilities.maxMessageBytes).toBeLessThan(262_144);
  });

  test("sends by itself what has no room in a batch, which has the head of its first message twice, up to the byte that the link takes", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    const headers = { note: "x".repeat(14_000) };
    const { to, properties } = message({ endpoint: endpoint.name }, "");
    const sender = bench.client().createSender(endpoint.name);
    const takes = (bytes: number): Promise<boolean> =>
      sender
        .sendMessages({
          body: Buffer.alloc(bytes),
          messageId: properties.messageId,
          subject: properties.messageType,
          contentType: properties.contentType,
          correlationId: properties.correlationId,
          sessionId: "31",
          applicationProperties: headers,
        })
        .then(
          () => true,
          () => false,
        );
    let [most, tooMany] = [235_000, 250_000];
    while (most + 1 < tooMany) {
      const bytes = Math.floor((most + tooMany) / 2);
      if (await takes(bytes)) most = bytes;
      else tooMany = bytes;
    }
    const send = async (bytes: number) => (await port.send({ to, properties, headers, body: Buffer.alloc(bytes) }))[0];
    expect(most).toBeGreaterThan(235_000);
    expect(await send(235_000)).toEqual({ outcome: "sent" });
    expect(await send(most - 16)).toEqual({ outcome: "sent" });
    const refused = await send(tooMany + 1);
    expect(refused).toMatchObject({ outcome: "refused", error: { code: "too-large" } });
    expect(refused?.outcome === "refused" && refused.error.message).toMatch(/with its headers/);
  });

  test("keeps all of a failure with a message that is as large as may be", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    await port.send(message({ endpoint: endpoint.name }, "b".repeat(port.transport.capabilities.maxMessageBytes - 1_000)));
    const inbox = await port.receive(endpoint);
    const [delivery] = await inbox.reach(1);
    await delivery?.retry(200, { ...FAILURE, "tb-error-stack": "s".repeat(6_000) });
    const again = (await inbox.reach(2)).at(-1);
    expect(again?.headers["tb-error-stack"]).toHaveLength(6_000);
    again?.complete();
  });

  test("keeps the order of a key over batches that do not fit one transfer", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    const texts = Array.from({ length: 40 }, (_, n) => `${n} ${"x".repeat(30_000)}`);
    const results = await port.send(...texts.map((text) => message({ endpoint: endpoint.name }, text, { partitionKey: "k" })));
    expect(new Set(results.map(({ outcome }) => outcome))).toEqual(new Set(["sent"]));
    const inbox = await port.receive(endpoint, 100);
    await inbox.reach(40);
    expect(inbox.texts.map((text) => Number(text.split(" ")[0]))).toEqual(texts.map((_, n) => n));
    for (const delivery of inbox.deliveries) delivery.complete();
  });
});
