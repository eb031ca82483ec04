import { createHash, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import type { ServiceBusMessageBatch, ServiceBusReceivedMessage, ServiceBusSender } from "@azure/service-bus";
import { expect, onTestFinished, test, vi } from "vitest";
import { loadClient } from "../../transports/azure-service-bus/client.js";
import { ManagedClient } from "../../transports/azure-service-bus/connection.js";
import { isWrittenAlike, MessageBatch } from "../../transports/azure-service-bus/message-batch.js";
import { isPlain, type OutgoingServiceBusMessage } from "../../transports/azure-service-bus/message-encoder.js";
import { resolveOptions } from "../../transports/azure-service-bus/options.js";
import { Sender } from "../../transports/azure-service-bus/sender.js";
import { Bench, eventually, message } from "./support/bench.js";

const bench = await Bench.start();

const plain: OutgoingServiceBusMessage = {
  body: Buffer.from(JSON.stringify({ n: 1, pad: "x".repeat(500) })),
  messageId: "01J9ZK3V7Q8W4X5Y6Z7A8B9C0D",
  subject: "shop.order-placed",
  contentType: "application/cloudevents+json",
  correlationId: "01J9ZK3V7Q8W4X5Y6Z7A8B9C0D",
  sessionId: "17",
  applicationProperties: {},
};

/** Messages as they may be, each unlike {@link plain} in one way. */
const shapes: Record<string, OutgoingServiceBusMessage> = {
  "as most are": plain,
  "with an empty body": { ...plain, body: Buffer.alloc(0) },
  "that takes less than 256 bytes": { body: Buffer.from("1"), messageId: "m", sessionId: "0" },
  "whose body takes 255 bytes": { ...plain, body: randomBytes(255) },
  "whose body takes 256 bytes": { ...plain, body: randomBytes(256) },
  "with a body of 300 KB": { ...plain, body: randomBytes(300_000) },
  "with nothing but an id and a session": { body: randomBytes(10), messageId: "m", sessionId: "31" },
  "without application properties": { body: randomBytes(10), messageId: "m", sessionId: "31", contentType: "text/plain" },
  "with texts that are not ASCII": {
    ...plain,
    messageId: "größe-価格-🚎",
    subject: "größe",
    correlationId: "🚎".repeat(30),
    applicationProperties: { prix: "1 €", größe: "価格", "": "named by nothing", nothing: "" },
  },
  "with half a surrogate pair": { ...plain, applicationProperties: { half: "\ud83d", other: "a\udc8eb" } },
  "with texts of 63 to 66 characters, ASCII and not": {
    ...plain,
    applicationProperties: Object.fromEntries(
      [63, 64, 65, 66].flatMap((length) => [
        [`a${length}`, "a".repeat(length)],
        [`u${length}`, `${"a".repeat(length - 1)}ü`],
      ]),
    ),
  },
  "with texts of 254 to 257 bytes, in one and in two bytes a character": {
    ...plain,
    correlationId: "c".repeat(256),
    applicationProperties: {
      ...Object.fromEntries([254, 255, 256, 257].map((length) => [`a${length}`, "a".repeat(length)])),
      ...Object.fromEntries([127, 128].map((length) => [`u${length}`, "ü".repeat(length)])),
      ["n".repeat(300)]: "a long name",
      "a long value": "v".repeat(70_000),
    },
  },
  "with many application properties": {
    ...plain,
    applicationProperties: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`name-${i}`, `value ${i}`])),
  },
  "with ids of 128 characters": { ...plain, messageId: "i".repeat(128), sessionId: "s".repeat(128) },
  "with all that a copy may have": {
    ...plain,
    replyTo: "answers",
    to: "orders",
    scheduledEnqueueTimeUtc: new Date("2027-01-02T03:04:05.678Z"),
  },
  "that is due at the beginning of time": { ...plain, scheduledEnqueueTimeUtc: new Date(0) },
};

/** Messages that only the client can write, or refuse. */
const foreign: Record<string, object> = {
  "a body that is no Buffer": { body: new Uint8Array(3) },
  "a body of text": { body: "text" },
  "a number as property": { applicationProperties: { n: 1 } },
  "a date as property": { applicationProperties: { at: new Date(0) } },
  "no value of a property": { applicationProperties: { nothing: undefined } },
  "no message id": { messageId: undefined },
  "a message id that is a number": { messageId: 7 },
  "a message id of 129 characters": { messageId: "i".repeat(129) },
  "no session": { sessionId: undefined },
  "a session of 129 characters": { sessionId: "s".repeat(129) },
  "an empty subject": { subject: "" },
  "a content type that is not ASCII": { contentType: "text/größe" },
  "a content type of 256 characters": { contentType: "t".repeat(256) },
  "a correlation id that is bytes": { correlationId: Buffer.alloc(16) },
  "a time that is none": { scheduledEnqueueTimeUtc: new Date(Number.NaN) },
};

/** A queue, with a sender of the client and all that arrives. */
function queue(): { readonly name: string; readonly sender: ServiceBusSender; readonly arrived: ServiceBusReceivedMessage[] } {
  const name = bench.name("batches");
  bench.broker.namespace.createQueue(name, {});
  const client = bench.client();
  const arrived: ServiceBusReceivedMessage[] = [];
  const receiver = client.createReceiver(name, { receiveMode: "receiveAndDelete", skipParsingBodyAsJson: true });
  receiver.subscribe(
    { processMessage: async (each) => void arrived.push(each), processError: async () => {} },
    { maxConcurrentCalls: 100 },
  );
  return { name, sender: client.createSender(name), arrived };
}

const bytesOf = (batch: ServiceBusMessageBatch): Buffer => (batch as MessageBatch)._generateMessage();

test.each(Object.entries(shapes))("a batch that begins with a message %s is byte for byte what the client would send", async (_, first) => {
  const { sender } = queue();
  const maxSizeInBytes = 1_000_000;
  const theirs = Object.assign(await sender.createMessageBatch(), { _maxSizeInBytes: maxSizeInBytes });
  const ours = MessageBatch.begin(maxSizeInBytes);
  for (const each of [first, plain, first]) expect([ours.tryAddMessage(each), theirs.tryAddMessage(each)]).toEqual([true, true]);
  expect(bytesOf(ours).equals(bytesOf(theirs))).toBe(true);
  expect(ours).toMatchObject({ count: 3, sizeInBytes: theirs.sizeInBytes });
  expect(ours.sizeInBytes).toBe(bytesOf(ours).length);
});

test("all shapes in one batch arrive as they were given", async () => {
  const { sender, arrived } = queue();
  const given = Object.entries(shapes).filter(([name]) => !/300 KB|surrogate|beginning of time|all that a copy/.test(name));
  const batch = MessageBatch.begin(262_144);
  for (const [, each] of given) expect(batch.tryAddMessage(each)).toBe(true);
  await sender.sendMessages(batch);
  await eventually("all messages", () => arrived.length === given.length);
  given.forEach(([, { body, ...properties }], i) => {
    expect(arrived[i]).toMatchObject(properties);
    expect(Buffer.compare(arrived[i]?.body as Buffer, body as Buffer)).toBe(0);
  });
});

test("a batch has room for the messages that a batch of the client has room for, and no byte more", async () => {
  const { sender } = queue();
  for (const bytes of [100, 250, 251, 252, 1000, 30_000]) {
    const ours = MessageBatch.begin(100_000);
    const theirs = await sender.createMessageBatch({ maxSizeInBytes: 100_000 });
    const each = { ...plain, body: randomBytes(bytes), applicationProperties: { name: "value" } };
    while (theirs.tryAddMessage(each)) expect(ours.tryAddMessage(each)).toBe(true);
    expect(ours.tryAddMessage(each)).toBe(false);
    expect(bytesOf(ours).equals(bytesOf(theirs))).toBe(true);
    const left = { ...plain, body: Buffer.alloc(0) };
    expect(ours.tryAddMessage(left)).toBe(theirs.tryAddMessage(left));
    expect(bytesOf(ours).equals(bytesOf(theirs))).toBe(true);
  }
  const first = { ...plain, body: randomBytes(5000) };
  const exact = MessageBatch.begin(1_000_000);
  exact.tryAddMessage(first);
  expect(MessageBatch.begin(exact.sizeInBytes).tryAddMessage(first)).toBe(true);
  expect(MessageBatch.begin(exact.sizeInBytes - 1).tryAddMessage(first)).toBe(false);
});

test.each(Object.entries(foreign))("a message with %s is left to the client", (_, difference) => {
  const given = { ...plain, ...difference } as OutgoingServiceBusMessage;
  const batch = MessageBatch.begin(100_000);
  batch.tryAddMessage(plain);
  const before = Buffer.from(bytesOf(batch));
  expect([isPlain(given), batch.tryAddMessage(given)]).toEqual([false, false]);
  expect(bytesOf(batch)).toEqual(before);
});

test.each([1, 40])("a batch of %i that is sealed takes no more, keeps its bytes, and at most four times their memory", (count) => {
  const batch = MessageBatch.begin(100_000);
  for (let i = 0; i < count; i++) batch.tryAddMessage(plain);
  const before = Buffer.from(bytesOf(batch));
  batch.seal();
  const next = MessageBatch.begin(100_000);
  for (let i = 0; i < count; i++) next.tryAddMessage({ ...plain, messageId: "another" });
  expect(batch.tryAddMessage(plain)).toBe(false);
  expect(bytesOf(batch)).toEqual(before);
  expect(batch).toMatchObject({ count, sizeInBytes: before.length });
  batch.seal();
  expect(bytesOf(batch)).toEqual(before);
  const large = MessageBatch.begin(100_000);
  large.tryAddMessage({ ...plain, body: randomBytes(20_000) });
  large.seal();
  expect(bytesOf(large).buffer.byteLength).toBeLessThanOrEqual(4 * large.sizeInBytes);
});

test("the memory of a batch becomes that of others when it is let go of, and not before", () => {
  const memory = (batch: MessageBatch): ArrayBufferLike => {
    batch.tryAddMessage({ ...plain, body: randomBytes(30_000) });
    batch.seal();
    return bytesOf(batch).buffer;
  };
  const batches = Array.from({ length: 6 }, () => MessageBatch.begin(100_000));
  const used = new Set(batches.map(memory));
  expect(used.size).toBe(batches.length);
  for (const batch of batches) {
    batch.letGo();
    batch.letGo();
  }
  const next = Array.from({ length: 6 }, () => memory(MessageBatch.begin(100_000)));
  expect(next.filter((each) => used.has(each)).length).toBe(4);
  expect(new Set(next).size).toBe(next.length);
});

test("the batches of this client come out as ours do", async () => {
  const { sender } = queue();
  expect(isWrittenAlike(await sender.createMessageBatch())).toBe(true);
});

test("a client that writes its batches otherwise, or has other insides, is not one whose batches we write", async () => {
  const { sender } = queue();
  const otherwise = await sender.createMessageBatch();
  const generate = bytesOf(otherwise);
  expect(isWrittenAlike(Object.assign(otherwise, { _generateMessage: () => Buffer.concat([generate, Buffer.from([0])]) }))).toBe(false);
  expect(isWrittenAlike(Object.assign(await sender.createMessageBatch(), { _generateMessage: undefined }))).toBe(false);
  expect(isWrittenAlike(Object.assign(await sender.createMessageBatch(), { tryAddMessage: () => false }))).toBe(false);
});

test("an instrumented client writes its batches itself, so that its traces stay whole", async () => {
  const require = createRequire(import.meta.resolve("@azure/service-bus"));
  const { useInstrumenter } = require("@azure/core-tracing") as { useInstrumenter(instrumenter: object | undefined): void };
  const { name, arrived } = queue();
  const span = { isRecording: () => true, end: () => {}, setStatus: () => {}, setAttribute: () => {}, addEvent: () => {} };
  const context = { getValue: () => undefined, setValue: () => context, deleteValue: () => context };
  useInstrumenter({
    startSpan: () => ({ span, tracingContext: context }),
    withContext: (_context: object, callback: (...given: unknown[]) => unknown, ...given: unknown[]) => callback(...given),
    parseTraceparentHeader: () => undefined,
    createRequestHeaders: () => ({ traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }),
  });
  onTestFinished(() => useInstrumenter(undefined));
  const port = await bench.port();
  for (let call = 0; call < 2; call++) {
    const messages = Array.from({ length: 5 }, (_, i) => message({ endpoint: name }, `${i}`));
    expect(await port.send(...messages)).toEqual(messages.map(() => ({ outcome: "sent" })));
  }
  await eventually("all messages", () => arrived.length === 10);
  expect(arrived.filter(({ applicationProperties }) => applicationProperties?.["Diagnostic-Id"] === undefined)).toEqual([]);
});

test("what only the client can write goes among what we write, and nothing is lost of either, nor overtaken under one key", async () => {
  const { name, arrived } = queue();
  const { ServiceBusClient, ...rest } = await loadClient();
  const payloads: object[] = [];
  class Watched extends ServiceBusClient {
    override createSender(entity: string): ServiceBusSender {
      const sender = super.createSender(entity);
      const send = sender.sendMessages.bind(sender);
      vi.spyOn(sender, "sendMessages").mockImplementation((given, options) => {
        payloads.push(given);
        return send(given, options);
      });
      return sender;
    }
  }
  const nothing = (): void => {};
  const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
  const connection = new ManagedClient({ ...rest, ServiceBusClient: Watched }, resolveOptions(bench.broker.options), "test", logger);
  const sender = new Sender(connection, 262_144, { status: nothing, repairTopic: async () => {} });
  onTestFinished(async () => {
    await sender.close(performance.now() + 2000);
    await connection.close(performance.now() + 2000);
  });
  const sends = Array.from({ length: 300 }, (_, i) => {
    const applicationProperties = i % 70 === 7 ? { n: i } : { n: String(i) };
    return { entity: name, isEvent: false, key: "k", message: { ...plain, messageId: `m-${i}`, applicationProperties } };
  });
  const results = await sender.send(sends, AbortSignal.timeout(10_000));
  expect(results.filter(({ outcome }) => outcome !== "sent")).toEqual([]);
  await eventually("all messages", () => arrived.length === sends.length);
  expect(arrived.map(({ messageId }) => messageId)).toEqual(sends.map(({ message: { messageId } }) => messageId));
  expect(arrived.map(({ applicationProperties }) => applicationProperties)).toEqual(
    sends.map(({ message: each }) => each.applicationProperties),
  );
  const ours = payloads.filter((payload) => payload instanceof MessageBatch);
  expect(ours.length).toBeGreaterThan(0);
  expect(ours.length).toBeLessThan(payloads.length);
});

test("the memory in which batches are written is used again for the next: thousands of them, large and small, arrive as they were", async () => {
  const { name, arrived } = queue();
  const port = await bench.port();
  const hash = (bytes: Uint8Array): string => createHash("sha1").update(bytes).digest("hex");
  const sent: string[] = [];
  let left = 3000;
  const publish = async (): Promise<void> => {
    while (left > 0) {
      const count = Math.min(left, 1 + (left % 7));
      left -= count;
      const messages = Array.from({ length: count }, (_, i) => {
        const each = message({ endpoint: name }, "");
        return { ...each, body: randomBytes((left + i) % 100 === 0 ? 150_000 : 1 + ((left * 31 + i) % 3000)) };
      });
      for (const { body } of messages) sent.push(hash(body));
      expect(await port.send(...messages)).toEqual(messages.map(() => ({ outcome: "sent" })));
    }
  };
  await Promise.all(Array.from({ length: 40 }, publish));
  await eventually("all messages", () => arrived.length === sent.length);
  expect(arrived.map(({ body }) => hash(body as Buffer)).sort()).toEqual(sent.sort());
});
