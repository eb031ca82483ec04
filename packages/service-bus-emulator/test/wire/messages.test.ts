import { expect, test } from "vitest";
import { readDeliveryState } from "../../src/amqp/delivery-state.js";
import { filterOf } from "../../src/amqp/termini.js";
import {
  type AmqpValue,
  array,
  described,
  double,
  int,
  integerOf,
  isDescribed,
  isList,
  isMap,
  long,
  map,
  mapGet,
  stringMap,
  symbol,
  symbolMap,
  textOf,
  timestamp,
  ulong,
  uuid,
} from "../../src/amqp/values.js";
import { ServiceBusNamespace } from "../../src/broker/service-bus-namespace.js";
import { BATCH_FORMAT } from "../../src/service-bus/message-format.js";
import { BrokerServer } from "../support/broker-server.js";
import { eventually } from "../support/eventually.js";
import { Requests, section, sectionsOf } from "../support/management.js";
import { RawClient } from "../support/raw-client.js";

const PEEK_LOCK = { sndSettleMode: 0, rcvSettleMode: 1 };
const RECEIVE_AND_DELETE = { sndSettleMode: 1, rcvSettleMode: 0 };
const SESSION_FILTER = "com.microsoft:session-filter";

const text = (value: string, more: readonly AmqpValue[] = []): Buffer =>
  Buffer.concat([section(0x73, [`id-${value}`, ...more]), section(0x77, value)]);
const outcome = (code: bigint, fields: readonly AmqpValue[] = []): AmqpValue => described(ulong(code), fields);
const sessionSource = (address: string, filter: AmqpValue): AmqpValue =>
  described(ulong(0x28n), [address, null, null, null, null, null, null, map([[symbol(SESSION_FILTER), filter]])]);

/** A client that has put a token. */
async function open(broker: BrokerServer): Promise<RawClient> {
  const client = await RawClient.open(broker.port);
  const cbs = await Requests.open(client, "$cbs", 100);
  expect((await cbs.ask("put-token", "a token", { name: "sb://localhost/" })).status).toBe(202);
  return client;
}

async function send(client: RawClient, address: string, ...messages: Buffer[]): Promise<void> {
  await client.attachSender(0, address);
  await client.next("flow");
  for (const [i, message] of messages.entries()) {
    client.transfer(0, i, message);
    const { performative } = await client.next("disposition");
    expect(performative).toMatchObject({ role: true, settled: true, state: outcome(0x24n) });
  }
  client.send(0, { kind: "detach", handle: 0, closed: true });
  await client.next("detach");
}

test("every byte from the properties to the footer arrives as it was sent", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  const everyType: Record<string, AmqpValue> = {
    boolean: true,
    double: double(3),
    float: { type: "float", value: 0.5 },
    long: long(9_007_199_254_740_993n),
    int: int(1),
    ulong: ulong(18_446_744_073_709_551_615n),
    ubyte: { type: "ubyte", value: 1 },
    char: { type: "char", value: 0x1f600 },
    uuid: uuid(Buffer.from("00112233445566778899aabbccddeeff", "hex")),
    decimal: { type: "decimal64", value: Buffer.alloc(8, 1) },
    timestamp: timestamp(1n),
    symbol: symbol("s"),
    nothing: null,
  };
  const bare = Buffer.concat([
    section(0x73, [ulong(7n), Buffer.from("user"), "to", "subject", null, uuid(Buffer.alloc(16, 9))]),
    section(0x74, stringMap(everyType)),
    // The widest forms of a value and of a size, which an encoder would write shorter.
    Buffer.from("0080000000000000007581", "hex").subarray(0, 10),
    Buffer.from("b000000003616263", "hex"),
    section(0x78, symbolMap({ signature: Buffer.from("x"), list: array("int", [int(1)]) })),
  ]);
  const message = Buffer.concat([
    section(0x70, [true, { type: "ubyte", value: 7 }, { type: "uint", value: 60_000 }]),
    section(0x71, symbolMap({ "x-hop": "passed on" })),
    section(0x72, symbolMap({ "x-own": long(5n), "x-opt-partition-key": "p", "x-opt-sequence-number": long(666n) })),
    bare,
  ]);
  await send(client, "q", message);

  await client.attachReceiver(1, "q", PEEK_LOCK);
  client.flow({ handle: 1, deliveryCount: 0, linkCredit: 1 });
  const { performative, payload } = await client.next("transfer");
  expect(performative).toMatchObject({ settled: false, messageFormat: 0 });
  expect(performative.deliveryTag?.length).toBe(16);
  expect(payload.subarray(payload.length - bare.length)).toEqual(bare);
  const sections = sectionsOf(payload.subarray(0, payload.length - bare.length));
  expect([...sections.keys()]).toEqual([0x70, 0x71, 0x72]);
  expect(mapGet(sections.get(0x71)?.[0], "x-hop")).toBe("passed on");
  expect(mapGet(sections.get(0x71)?.[0], "x-opt-lock-token")).toMatchObject({ type: "uuid" });
  expect(sections.get(0x70)).toEqual([
    [true, { type: "ubyte", value: 7 }, { type: "uint", value: 60_000 }, null, { type: "uint", value: 0 }],
  ]);
  const annotations = sections.get(0x72)?.[0];
  expect(mapGet(annotations, "x-own")).toEqual(long(5n));
  expect(mapGet(annotations, "x-opt-partition-key")).toBe("p");
  expect(mapGet(annotations, "x-opt-sequence-number")).toEqual(long(1n));
  for (const [name, type] of [
    ["x-opt-enqueued-time", "timestamp"],
    ["x-opt-locked-until", "timestamp"],
  ] as const) {
    expect(mapGet(annotations, name)).toMatchObject({ type });
  }
  // The service leaves out what goes without saying.
  for (const name of ["x-opt-enqueue-sequence-number", "x-opt-message-state"]) expect(mapGet(annotations, name)).toBeUndefined();
  client.destroy();
});

test("a message that came through another entity says where it first entered, even when the numbers are the same", async () => {
  await using broker = await BrokerServer.start();
  const { namespace } = broker;
  namespace.createQueue("target");
  namespace.createQueue("source", { forwardTo: "target" });
  namespace.createTopic("t");
  namespace.createSubscription("t", "s");
  const client = await open(broker);
  await send(client, "source", text("forwarded"));
  await send(client, "t", text("published"));
  for (const [handle, address] of [
    [1, "target"],
    [2, "t/subscriptions/s"],
  ] as const) {
    await client.attachReceiver(handle, address, PEEK_LOCK);
    client.flow({ handle, deliveryCount: 0, linkCredit: 1 });
    const annotations = sectionsOf((await client.next("transfer")).payload).get(0x72)?.[0];
    expect(mapGet(annotations, "x-opt-sequence-number")).toEqual(long(1n));
    expect(mapGet(annotations, "x-opt-enqueue-sequence-number")).toEqual(long(1n));
  }
  client.destroy();
});

test("what is sent to a queue that was deleted is refused, or goes to the one that is made in its place", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  await client.attachSender(0, "q");
  await client.next("flow");
  broker.namespace.delete("q");
  client.transfer(0, 0, text("lost"));
  const { state } = (await client.next("disposition")).performative;
  expect(readDeliveryState(state ?? null)).toMatchObject({ kind: "rejected", condition: "amqp:not-found" });
  const queue = broker.namespace.createQueue("q");
  client.transfer(0, 1, text("again"));
  expect((await client.next("disposition")).performative).toMatchObject({ settled: true, state: outcome(0x24n) });
  broker.namespace.delete("q");
  const newest = broker.namespace.createQueue("q");
  client.transfer(0, 2, text("and again"));
  expect((await client.next("disposition")).performative).toMatchObject({ settled: true, state: outcome(0x24n) });
  expect([queue.activeCount, newest.activeCount]).toEqual([1, 1]);
  client.destroy();
});

test("who sends to a queue hears when it is deleted, and reaches the one that is made in its place", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  await client.attachSender(0, "q");
  broker.namespace.delete("q");
  const { performative } = await client.next("detach");
  expect(performative).toMatchObject({ handle: 0, closed: true });
  expect(textOf(isDescribed(performative.error) && isList(performative.error.value) ? performative.error.value[0] : null)).toBe(
    "amqp:not-found",
  );
  client.send(0, { kind: "detach", handle: 0, closed: true });
  const queue = broker.namespace.createQueue("q");
  await send(client, "q", text("again"));
  expect(queue.activeCount).toBe(1);
  client.destroy();
});

test("abandon and dead-letter change application properties and leave the other sections as they are", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  const properties = section(0x73, ["id"]);
  const body = Buffer.concat([section(0x75, Buffer.from("a")), section(0x75, Buffer.from("b"))]);
  const footer = section(0x78, symbolMap({ f: double(1) }));
  await send(client, "q", Buffer.concat([properties, section(0x74, stringMap({ kept: double(3) })), body, footer]));
  await client.attachReceiver(1, "q", PEEK_LOCK);
  client.flow({ handle: 1, deliveryCount: 0, linkCredit: 2 });
  const first = (await client.next("transfer")).performative.deliveryId ?? -1;
  client.send(0, {
    kind: "disposition",
    role: true,
    first,
    settled: false,
    state: outcome(0x27n, [null, false, symbolMap({ added: long(1n) })]),
  });
  const again = await client.next("transfer");
  expect(again.payload.subarray(again.payload.indexOf(properties))).toEqual(
    Buffer.concat([properties, section(0x74, stringMap({ kept: double(3), added: long(1n) })), body, footer]),
  );
  const info = symbolMap({ DeadLetterReason: "r", DeadLetterErrorDescription: "d", extra: true });
  const error = described(ulong(0x1dn), [symbol("com.microsoft:dead-letter"), null, info]);
  const second = again.performative.deliveryId ?? -1;
  client.send(0, { kind: "disposition", role: true, first: second, settled: false, state: outcome(0x25n, [error]) });
  // JavaScript's client takes an error in the answer for a failure, Java's wants the outcome that it asked for.
  await eventually(async () =>
    expect((await client.next("disposition")).performative).toMatchObject({ first: second, settled: true, state: outcome(0x25n) }),
  );
  await client.attachReceiver(2, "q/$DeadLetterQueue", RECEIVE_AND_DELETE);
  client.flow({ handle: 2, deliveryCount: 0, linkCredit: 1 });
  const dead = await client.next("transfer");
  expect(dead.performative.settled).toBe(true);
  const sections = sectionsOf(dead.payload);
  const expected = { kept: double(3), added: long(1n), extra: true, DeadLetterReason: "r", DeadLetterErrorDescription: "d" };
  for (const [name, value] of Object.entries(expected)) expect(mapGet(sections.get(0x74)?.[0], name)).toEqual(value);
  expect(sections.get(0x75)).toEqual([Buffer.from("a"), Buffer.from("b")]);
  expect(dead.payload.subarray(dead.payload.length - footer.length)).toEqual(footer);
  client.destroy();
});

test("an attach is answered with the settle modes, the source and the target of the question, and with a size limit for senders", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  const receiver = await client.attachReceiver(0, "q", PEEK_LOCK);
  expect(receiver.performative).toMatchObject({ role: false, ...PEEK_LOCK, initialDeliveryCount: 0 });
  expect(receiver.performative.source).toEqual(described(ulong(0x28n), ["q"]));
  expect(receiver.performative.target).toEqual(described(ulong(0x29n), ["client"]));
  const sender = await client.attachSender(1, "q", { sndSettleMode: 2, rcvSettleMode: 0 });
  expect(sender.performative).toMatchObject({ role: true, sndSettleMode: 2, rcvSettleMode: 0, maxMessageSize: 262_144 });
  expect(sender.performative.source).toEqual(described(ulong(0x28n), ["client"]));
  expect(sender.performative.target).toEqual(described(ulong(0x29n), ["q"]));
  // Python's client takes no answer for accepted that lacks one of the two.
  const sourceless = await client.attachSender(2, "q", { source: undefined });
  expect(sourceless.performative.source).toEqual(described(ulong(0x28n), []));
  const targetless = await client.attachReceiver(3, "q", { target: undefined });
  expect(targetless.performative.target).toEqual(described(ulong(0x29n), []));
  client.destroy();
});

test.each([
  ["described, as Go's client writes it", described(ulong(0x137_0000_000cn), "b")],
  ["a plain string, as Java's client writes it", "b"],
])("a session filter that is %s is answered in the same form", async (_, filter) => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q", { requiresSession: true });
  const client = await open(broker);
  const { performative } = await client.attachReceiver(0, "q", { ...PEEK_LOCK, source: sessionSource("q", filter) });
  expect(filterOf(performative.source, SESSION_FILTER)).toEqual(filter);
  const ticks = integerOf(mapGet(performative.properties, "com.microsoft:locked-until-utc")) ?? 0n;
  const lockedUntil = Number((ticks - 621_355_968_000_000_000n) / 10_000n);
  expect(lockedUntil).toBeGreaterThan(Date.now() + 30_000);
  expect(lockedUntil).toBeLessThan(Date.now() + 90_000);
  client.destroy();
});

test("a wait for the next session ends after the client's own time, with neither source nor target in the answer", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q", { requiresSession: true });
  const client = await open(broker);
  const begun = Date.now();
  const properties = symbolMap({ "com.microsoft:timeout": { type: "uint", value: 300 } });
  const attach = await client.attachReceiver(0, "q", { ...PEEK_LOCK, source: sessionSource("q", null), properties });
  expect(Date.now() - begun).toBeGreaterThanOrEqual(295);
  expect(attach.performative.source).toBeUndefined();
  const [condition, description, info] = errorFields((await client.next("detach")).performative.error);
  expect(textOf(condition)).toBe("com.microsoft:timeout");
  expect(typeof description).toBe("string");
  expect(isMap(info)).toBe(true);
  client.destroy();
});

test("a client that goes away while it waits for a session leaves the session to others", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q", { requiresSession: true });
  const gone = await open(broker);
  gone.send(0, {
    kind: "attach",
    name: "w",
    handle: 0,
    role: true,
    ...PEEK_LOCK,
    source: sessionSource("q", null),
    target: described(ulong(0x29n), []),
  });
  gone.send(0, { kind: "detach", handle: 0, closed: true });
  await gone.next("detach");
  const cut = await open(broker);
  cut.send(0, {
    kind: "attach",
    name: "w",
    handle: 0,
    role: true,
    ...PEEK_LOCK,
    source: sessionSource("q", null),
    target: described(ulong(0x29n), []),
  });
  cut.destroy();
  const client = await open(broker);
  await send(
    client,
    "q",
    Buffer.concat([section(0x73, ["id", null, null, null, null, null, null, null, null, null, "s"]), section(0x77, "x")]),
  );
  const { performative } = await client.attachReceiver(1, "q", { ...PEEK_LOCK, source: sessionSource("q", null) });
  expect(filterOf(performative.source, SESSION_FILTER)).toBe("s");
  client.destroy();
  gone.destroy();
});

test("a batch is taken apart, and all of it is refused when one of it is no message", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  await client.attachSender(0, "q");
  await client.next("flow");
  client.transfer(0, 0, Buffer.concat([section(0x75, text("a")), section(0x75, text("b"))]), { messageFormat: BATCH_FORMAT });
  expect((await client.next("disposition")).performative).toMatchObject({ settled: true, state: outcome(0x24n) });
  client.transfer(0, 1, Buffer.concat([section(0x75, text("c")), section(0x75, Buffer.from("no message"))]), {
    messageFormat: BATCH_FORMAT,
  });
  const refused = (await client.next("disposition")).performative;
  expect(readDeliveryState(refused.state ?? null)).toMatchObject({ kind: "rejected", condition: "amqp:decode-error" });
  client.transfer(0, 2, Buffer.from("0053", "hex"));
  expect(readDeliveryState((await client.next("disposition")).performative.state ?? null)).toMatchObject({
    condition: "amqp:decode-error",
  });
  const requests = await Requests.open(client, "q/$management", 4);
  const peeked = await requests.ask(
    "com.microsoft:peek-message",
    stringMap({ "from-sequence-number": long(0n), "message-count": int(10) }),
  );
  expect(messagesOf(peeked.body)).toEqual(["a", "b"]);
  client.destroy();
});

test("the delivery tag is the lock token in the order of .NET, and a settlement of a lost lock is told by condition, description and info", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  await send(client, "q", text("a"));
  await client.attachReceiver(1, "q", PEEK_LOCK);
  client.flow({ handle: 1, deliveryCount: 0, linkCredit: 1 });
  const { deliveryId = -1, deliveryTag: tag = Buffer.alloc(0) } = (await client.next("transfer")).performative;
  const token = Buffer.from([
    ...tag.subarray(0, 4).reverse(),
    ...tag.subarray(4, 6).reverse(),
    ...tag.subarray(6, 8).reverse(),
    ...tag.subarray(8),
  ]);
  const requests = await Requests.open(client, "q/$management", 4);
  const renewed = await requests.ask("com.microsoft:renew-lock", stringMap({ "lock-tokens": array("uuid", [uuid(token)]) }));
  expect(renewed.status).toBe(200);
  const expirations = mapGet(renewed.body, "expirations");
  expect(expirations).toMatchObject({ type: "array", of: "timestamp" });

  broker.namespace.expireLocks();
  client.send(0, { kind: "disposition", role: true, first: deliveryId, settled: false, state: outcome(0x24n) });
  const { state } = (await client.next("disposition")).performative;
  const [error] = isDescribed(state) && isList(state.value) ? state.value : [];
  const [condition, description, info] = errorFields(error);
  expect(textOf(condition)).toBe("com.microsoft:message-lock-lost");
  expect(typeof description).toBe("string");
  expect(isMap(info)).toBe(true);
  const late = await requests.ask("com.microsoft:renew-lock", stringMap({ "lock-tokens": array("uuid", [uuid(token)]) }));
  expect(late).toMatchObject({ status: 410, condition: "com.microsoft:message-lock-lost" });
  client.destroy();
});

test("a released message comes again without a delivery counted, as clients release what they did not hand out", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  await send(client, "q", text("a"));
  await client.attachReceiver(1, "q", PEEK_LOCK);
  client.flow({ handle: 1, deliveryCount: 0, linkCredit: 2 });
  const { deliveryId = -1 } = (await client.next("transfer")).performative;
  client.send(0, { kind: "disposition", role: true, first: deliveryId, settled: true, state: outcome(0x26n) });
  const again = await client.next("transfer");
  expect(sectionsOf(again.payload).get(0x70)).toMatchObject([[null, null, null, null, { type: "uint", value: 0 }]]);
  client.destroy();
});

test("a message received by its sequence number has its lock token in the entry and in a delivery annotation", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  await send(client, "q", text("a"));
  await client.attachReceiver(1, "q", PEEK_LOCK);
  client.flow({ handle: 1, deliveryCount: 0, linkCredit: 1 });
  const { deliveryId = -1 } = (await client.next("transfer")).performative;
  client.send(0, { kind: "disposition", role: true, first: deliveryId, settled: false, state: outcome(0x27n, [false, true]) });
  await client.next("disposition");
  const requests = await Requests.open(client, "q/$management", 4);
  const answer = await requests.ask(
    "com.microsoft:receive-by-sequence-number",
    stringMap({ "sequence-numbers": array("long", [long(1n)]), "receiver-settle-mode": { type: "uint", value: 1 } }),
  );
  const entries = mapGet(answer.body, "messages");
  const [entry] = isList(entries) ? entries : [];
  const token = mapGet(entry, "lock-token");
  expect(token).toMatchObject({ type: "uuid" });
  const message = mapGet(entry, "message");
  const sections = sectionsOf(Buffer.isBuffer(message) ? message : Buffer.alloc(0));
  expect(mapGet(sections.get(0x71)?.[0], "x-opt-lock-token")).toEqual(token);
  expect(mapGet(sections.get(0x72)?.[0], "x-opt-message-state")).toEqual(int(1));
  client.destroy();
});

test("the coordinator of transactions is refused as not implemented, and so is a state of one", async () => {
  await using broker = await BrokerServer.start();
  const client = await open(broker);
  await client.attachSender(0, "q", { target: described(ulong(0x30n), []) });
  const [condition, description] = errorFields((await client.next("detach")).performative.error);
  expect(textOf(condition)).toBe("amqp:not-implemented");
  expect(textOf(description)).toMatch(/transactions/i);
  client.destroy();
});

function errorFields(value: AmqpValue | undefined): readonly AmqpValue[] {
  return isDescribed(value) && isList(value.value) ? value.value : [];
}

/** The bodies of the messages in an answer to peek. */
function messagesOf(body: AmqpValue): unknown[] {
  const entries = mapGet(body, "messages");
  return (isList(entries) ? entries : []).map((entry) => {
    const message = mapGet(entry, "message");
    return sectionsOf(Buffer.isBuffer(message) ? message : Buffer.alloc(0)).get(0x77)?.[0];
  });
}

test.each([
  ["without properties", Buffer.alloc(0), null],
  ["with properties but no id", section(0x73, [null, Buffer.from("u"), "to"]), "to"],
  ["with empty properties", section(0x73, []), null],
])("a message %s gets an id, and nothing else of it changes", async (_, properties, to) => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  const rest = Buffer.concat([section(0x74, stringMap({ a: double(1) })), section(0x77, "body"), section(0x78, symbolMap({ f: int(1) }))]);
  await send(client, "q", Buffer.concat([properties, rest]));
  await client.attachReceiver(1, "q", PEEK_LOCK);
  client.flow({ handle: 1, deliveryCount: 0, linkCredit: 1 });
  const { payload } = await client.next("transfer");
  expect(payload.subarray(payload.length - rest.length)).toEqual(rest);
  const fields = sectionsOf(payload).get(0x73)?.[0];
  expect(isList(fields) ? fields[0] : undefined).toMatch(/^[0-9a-f]{32}$/);
  expect(isList(fields) ? (fields[2] ?? null) : undefined).toBe(to);
  client.destroy();
});

test("a link says how large a batch may be, and one that is larger is refused where a message of its size is taken", async () => {
  const namespace = new ServiceBusNamespace({ tier: "Premium" });
  namespace.createQueue("usual", { maxMessageSizeInKilobytes: 256 });
  namespace.createQueue("large", { maxMessageSizeInKilobytes: 10_240 });
  await using broker = await BrokerServer.start({ namespace });
  const client = await open(broker);
  const batchSizeOf = (attach: { readonly properties?: AmqpValue | undefined }): bigint | undefined =>
    integerOf(mapGet(attach.properties, "com.microsoft:max-message-batch-size") ?? null);
  expect(batchSizeOf((await client.attachSender(0, "usual")).performative)).toBe(262_144n);
  const { performative: large } = await client.attachSender(1, "large");
  expect(large.maxMessageSize).toBe(10_485_760);
  expect(batchSizeOf(large)).toBe(1_048_576n);
  await client.next("flow");
  const message = Buffer.concat([section(0x73, ["large"]), section(0x75, Buffer.alloc(1_048_576))]);
  for (const [id, payload, messageFormat, state] of [
    [0, section(0x75, message), BATCH_FORMAT, 0x25n],
    [1, message, 0, 0x24n],
  ] as const) {
    for (let at = 0; at < payload.length; at += 60_000)
      client.transfer(1, id, payload.subarray(at, at + 60_000), { more: at + 60_000 < payload.length, messageFormat });
    const { performative } = await client.next("disposition");
    expect(isDescribed(performative.state) && integerOf(performative.state.descriptor)).toBe(state);
    if (isDescribed(performative.state) && state === 0x25n)
      expect(readDeliveryState(performative.state)).toMatchObject({ condition: "amqp:not-allowed" });
  }
});
