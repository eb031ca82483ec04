import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { AmqpError } from "../../src/amqp/amqp-error.js";
import { readDeliveryState } from "../../src/amqp/delivery-state.js";
import { AMQP_HEADER, encodeFrame, SASL_HEADER } from "../../src/amqp/frames.js";
import { type AmqpValue, described, integerOf, isDescribed, isList, textOf, ulong } from "../../src/amqp/values.js";
import { EchoServer } from "../support/echo-server.js";
import { eventually } from "../support/eventually.js";
import { RawClient } from "../support/raw-client.js";

const ACCEPTED = described(ulong(0x24n), []);

/** Condition and description of an error on the wire. */
function errorOf(value: AmqpValue | undefined): { condition: string | undefined; description: string | undefined } {
  const [condition, description] = isDescribed(value) && isList(value.value) ? value.value : [];
  return { condition: textOf(condition), description: textOf(description) };
}

/** Asserts that the server still serves a client after what a test did to it. */
async function expectToServe(echo: EchoServer): Promise<void> {
  const client = await RawClient.open(echo.port);
  await client.attachSender(0, "a");
  await client.next("flow");
  client.transfer(0, 0, Buffer.from("still there"));
  expect((await client.next("disposition")).performative).toMatchObject({ first: 0, settled: true });
  client.destroy();
}

test("a client that speaks AMQP without SASL is served", async () => {
  await using echo = await EchoServer.start();
  const client = await RawClient.connect(echo.port);
  client.write(AMQP_HEADER);
  expect(await client.header()).toEqual(AMQP_HEADER);
  client.send(0, { kind: "open", containerId: "bare" });
  expect((await client.next("open")).performative).toMatchObject({ maxFrameSize: 4_096 });
  client.destroy();
});

test("a client of another protocol is told which one is spoken, and closed", async () => {
  await using echo = await EchoServer.start();
  const client = await RawClient.connect(echo.port);
  client.write(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
  expect(await client.header()).toEqual(SASL_HEADER);
  await client.closed();
  await expectToServe(echo);
});

test("a SASL mechanism that is not offered is refused", async () => {
  await using echo = await EchoServer.start();
  const client = await RawClient.connect(echo.port);
  client.write(SASL_HEADER);
  await client.header();
  client.send(0, { kind: "sasl-init", mechanism: "PLAIN", initialResponse: Buffer.from("\0user\0key") });
  expect(integerOf((await client.next("sasl-outcome")).performative.code)).toBe(1n);
  await client.closed();
});

test("random bytes at any point end that connection and no other", async () => {
  await using echo = await EchoServer.start();
  let seed = 42;
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed >> 8;
  };
  const garbage = (length: number): Buffer => Buffer.from(Array.from({ length }, random));
  for (let round = 0; round < 60; round++) {
    const socket = connect(echo.port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    const stage = round % 3;
    if (stage > 0) socket.write(AMQP_HEADER);
    if (stage > 1) socket.write(encodeFrame(0, { kind: "open", containerId: "garbage" }));
    // A frame whose head is right reaches deeper than noise does.
    const body = garbage(1 + (random() % 200));
    const head = Buffer.alloc(8);
    head.writeUInt32BE(8 + body.length, 0);
    head.writeUInt32BE(0x02_00_00_00, 4);
    socket.end(round % 2 === 0 ? body : Buffer.concat([head, Buffer.from([0, 0x53, 0x10 + (random() % 9)]), body.subarray(3)]));
    socket.resume();
    await once(socket, "close");
  }
  await eventually(() => expect(echo.server.connections.size).toBe(0));
  await expectToServe(echo);
});

test("frames that arrive byte by byte are understood", async () => {
  await using echo = await EchoServer.start();
  const client = await RawClient.open(echo.port);
  await client.attachSender(0, "a");
  await client.next("flow");
  const frame = encodeFrame(
    0,
    { kind: "transfer", handle: 0, deliveryId: 0, deliveryTag: Buffer.from("0"), messageFormat: 0 },
    Buffer.from("slow"),
  );
  for (const byte of frame) {
    client.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.next("disposition");
  expect(echo.received[0]?.payload.toString()).toBe("slow");
  client.destroy();
});

test("a frame beyond the agreed size closes the connection with a framing error", async () => {
  await using echo = await EchoServer.start();
  const client = await RawClient.open(echo.port);
  client.write(Buffer.from("00010000020000000000", "hex"));
  expect(errorOf((await client.next("close")).performative.error).condition).toBe("amqp:connection:framing-error");
  await client.closed();
  await expectToServe(echo);
});

test("a connection that never gets as far as open is dropped", async () => {
  await using echo = await EchoServer.start({ limits: { handshakeTimeOut: 100 } });
  const client = await RawClient.connect(echo.port);
  client.write(AMQP_HEADER.subarray(0, 3));
  await client.closed();
});

test("a client that is silent for longer than the idle time-out is closed, and is told how often to speak", async () => {
  await using echo = await EchoServer.start({ limits: { idleTimeOut: 200 } });
  const client = await RawClient.connect(echo.port);
  client.write(AMQP_HEADER);
  await client.header();
  client.send(0, { kind: "open", containerId: "quiet" });
  expect((await client.next("open")).performative.idleTimeOut).toBe(100);
  expect(errorOf((await client.next("close")).performative.error).condition).toBe("amqp:resource-limit-exceeded");
  await client.closed();
});

test("a client that wants signs of life gets them", async () => {
  await using echo = await EchoServer.start({ limits: { idleTimeOut: 2_000 } });
  const client = await RawClient.open(echo.port, { idleTimeOut: 300 });
  await client.signOfLife();
  client.destroy();
});

test("a link without credit, an unknown handle, a used channel: each ends what it belongs to with the error of the specification", async () => {
  await using echo = await EchoServer.start();
  const onUnknownHandle = await RawClient.open(echo.port);
  onUnknownHandle.transfer(7, 0, Buffer.from("x"));
  expect(errorOf((await onUnknownHandle.next("end")).performative.error).condition).toBe("amqp:session:unattached-handle");
  onUnknownHandle.destroy();

  const onUsedChannel = await RawClient.open(echo.port);
  onUsedChannel.send(0, { kind: "begin", nextOutgoingId: 0, incomingWindow: 1, outgoingWindow: 1 });
  expect(errorOf((await onUsedChannel.next("close")).performative.error).condition).toBe("amqp:illegal-state");

  const onUsedHandle = await RawClient.open(echo.port);
  await onUsedHandle.attachSender(1, "a");
  onUsedHandle.send(0, { kind: "attach", name: "again", handle: 1, role: true });
  expect(errorOf((await onUsedHandle.next("end")).performative.error).condition).toBe("amqp:session:handle-in-use");
  onUsedHandle.destroy();
  await expectToServe(echo);
});

test("a refused link is answered with neither source nor target, and detached with the error", async () => {
  await using echo = await EchoServer.start({ refuse: new AmqpError("amqp:not-found", "There is no such entity.") });
  const client = await RawClient.open(echo.port);
  const { performative } = await client.attachReceiver(0, "missing", { sndSettleMode: 0, rcvSettleMode: 1 });
  expect(performative).toMatchObject({ name: "receiver-0", role: false, sndSettleMode: 0, rcvSettleMode: 1 });
  expect(performative.source).toBeUndefined();
  expect(performative.target).toBeUndefined();
  const detach = await client.next("detach");
  expect(detach.performative).toMatchObject({ handle: 0, closed: true });
  expect(errorOf(detach.performative.error)).toEqual({ condition: "amqp:not-found", description: "There is no such entity." });
  client.destroy();
});

test("a delivery in many transfers is put together; one that is aborted is forgotten", async () => {
  await using echo = await EchoServer.start();
  const client = await RawClient.open(echo.port);
  await client.attachSender(0, "a");
  await client.next("flow");
  client.transfer(0, 0, Buffer.from("never "), { more: true });
  client.transfer(0, 0, Buffer.alloc(0), { aborted: true });
  client.transfer(0, 1, Buffer.from("first, "), { more: true });
  client.send(0, { kind: "transfer", handle: 0, more: true }, Buffer.from("second, "));
  client.send(0, { kind: "transfer", handle: 0, more: false }, Buffer.from("third"));
  expect((await client.next("disposition")).performative).toMatchObject({ first: 1, last: 1, settled: true });
  expect(echo.received.map((delivery) => delivery.payload.toString())).toEqual(["first, second, third"]);
  client.destroy();
});

test("a delivery over the limit is refused by condition, is not kept in memory, and the link goes on", async () => {
  await using echo = await EchoServer.start({ maxMessageSize: 1_000 });
  const client = await RawClient.open(echo.port);
  expect((await client.attachSender(0, "a")).performative.maxMessageSize).toBe(1_000);
  await client.next("flow");
  client.transfer(0, 0, Buffer.alloc(900), { more: true });
  client.send(0, { kind: "transfer", handle: 0, more: false }, Buffer.alloc(900));
  const refused = (await client.next("disposition")).performative;
  expect(readDeliveryState(refused.state ?? null)).toMatchObject({ kind: "rejected", condition: "amqp:link:message-size-exceeded" });
  client.transfer(0, 1, Buffer.alloc(1_000));
  expect((await client.next("disposition")).performative).toMatchObject({ first: 1, state: ACCEPTED });
  client.destroy();
});

test("a sender gets new credit as its deliveries are answered, and never loses any", async () => {
  await using echo = await EchoServer.start();
  const client = await RawClient.open(echo.port);
  await client.attachSender(0, "a", { initialDeliveryCount: 4_294_967_290 });
  let { deliveryCount = 0, linkCredit = 0 } = (await client.next("flow")).performative;
  expect(deliveryCount).toBe(4_294_967_290);
  let sent = 0;
  while (sent < 5_000) {
    for (; linkCredit > 0 && sent < 5_000; linkCredit--) client.transfer(0, sent++, Buffer.from("x"));
    if (sent === 5_000) break;
    ({ deliveryCount = 0, linkCredit = 0 } = (await client.next("flow")).performative);
    // Credit counts from the delivery count that it was given with: part of it was used meanwhile.
    linkCredit -= (4_294_967_290 + sent - deliveryCount) >>> 0;
  }
  await eventually(() => expect(echo.received.length).toBe(5_000));
  client.destroy();
});

test("a receiver gets exactly as many deliveries as it gave credit for, and a drain ends with the rest of the credit lapsed", async () => {
  let left = 7;
  await using echo = await EchoServer.start({ next: () => (left-- > 0 ? Buffer.from("m") : undefined) });
  const client = await RawClient.open(echo.port);
  await client.attachReceiver(0, "a");
  client.flow({ handle: 0, deliveryCount: 0, linkCredit: 5, echo: true });
  await client.next("flow");
  expect(left).toBe(2);
  client.flow({ handle: 0, deliveryCount: 5, linkCredit: 100, drain: true });
  const drained = (await client.next("flow")).performative;
  expect(drained).toMatchObject({ handle: 0, deliveryCount: 105, linkCredit: 0, drain: true });
  expect(left).toBeLessThan(0);
  client.flow({ handle: 0, deliveryCount: 105, linkCredit: 0, drain: true });
  expect((await client.next("flow")).performative).toMatchObject({ deliveryCount: 105, linkCredit: 0, drain: true });
  client.destroy();
});

test("nothing is delivered beyond the window of a session, and all of it when the window opens", async () => {
  let left = 10;
  await using echo = await EchoServer.start({ next: () => (left-- > 0 ? Buffer.alloc(10_000, 1) : undefined) });
  const client = await RawClient.open(echo.port, { incomingWindow: 4, maxFrameSize: 4_096 });
  await client.attachReceiver(0, "a");
  client.flow({ handle: 0, deliveryCount: 0, linkCredit: 10, incomingWindow: 4 });
  await eventually(() => expect(client.waiting("transfer")).toBe(4));
  expect(left).toBe(8);
  client.flow({ handle: 0, deliveryCount: 0, linkCredit: 10, nextIncomingId: 4, incomingWindow: 1_000 });
  await eventually(() => expect(client.waiting("transfer")).toBe(30));
  client.destroy();
});

test("a client that reads nothing is not sent without end, and gets the rest when it reads", async () => {
  let asked = 0;
  await using echo = await EchoServer.start({ next: () => (asked++ < 10_000 ? Buffer.alloc(3_000, 1) : undefined) });
  const slow = await RawClient.open(echo.port, { incomingWindow: 2_000_000 });
  await slow.attachReceiver(0, "a");
  slow.socket.pause();
  slow.flow({ handle: 0, deliveryCount: 0, linkCredit: 10_000, incomingWindow: 2_000_000 });
  let whileStopped = -1;
  await eventually(() => {
    const before = whileStopped;
    whileStopped = asked;
    expect(asked).toBe(before);
  }, 300);
  // What the system's buffers of a loopback connection take, and one MiB of ours.
  expect(whileStopped).toBeGreaterThan(100);
  expect(whileStopped).toBeLessThan(9_000);
  slow.socket.resume();
  await eventually(() => expect(slow.waiting("transfer")).toBe(10_000));
  slow.destroy();
});

test("a settlement of a range as long as 32 bits hold is dealt with at once", async () => {
  let left = 3;
  await using echo = await EchoServer.start({ next: () => (left-- > 0 ? Buffer.from("m") : undefined) });
  const client = await RawClient.open(echo.port);
  await client.attachReceiver(0, "a");
  client.flow({ handle: 0, deliveryCount: 0, linkCredit: 3 });
  await eventually(() => expect(client.waiting("transfer")).toBe(3));
  client.send(0, { kind: "disposition", role: true, first: 0, last: 4_294_967_295, settled: false, state: ACCEPTED });
  expect((await client.next("disposition")).performative).toMatchObject({ role: false, first: 0, last: 2, settled: true });
  client.destroy();
});

test("a socket that is cut leaves no link behind, nor does a client that ends its session or detaches", async () => {
  await using echo = await EchoServer.start();
  const cut = await RawClient.open(echo.port);
  await cut.attachSender(0, "a");
  await cut.attachReceiver(1, "a");
  cut.destroy();
  await eventually(() => expect(echo.gone).toBe(2));

  const client = await RawClient.open(echo.port);
  await client.attachSender(0, "a");
  client.send(0, { kind: "detach", handle: 0, closed: true });
  expect((await client.next("detach")).performative).toMatchObject({ handle: 0, closed: true });
  expect(echo.gone).toBe(3);
  await client.attachReceiver(0, "a");
  client.send(0, { kind: "end" });
  await client.next("end");
  expect(echo.gone).toBe(4);
  await client.begin(0);
  client.send(0, { kind: "close" });
  await client.next("close");
  await client.closed();
  await eventually(() => expect(echo.server.connections.size).toBe(0));
});
