import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { encodeFrame } from "../../src/amqp/frames.js";
import { map } from "../../src/amqp/values.js";
import { BrokerServer } from "../support/broker-server.js";
import { eventually } from "../support/eventually.js";
import { Requests, section } from "../support/management.js";
import { RawClient } from "../support/raw-client.js";

/** Opens connections from a process of its own: one process may not have as many sockets as both ends together are. */
const OPEN_MANY = `
  const { connect } = require("node:net");
  const [port, count] = process.argv.slice(1).map(Number);
  let open = 0;
  const more = () => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(Buffer.from("414d515003010000", "hex"));
      if (++open === count) console.log("open");
      else if (open + 99 < count) more();
    });
    socket.on("error", (error) => { console.log(error.message); process.exit(1); });
    socket.resume();
  };
  for (let i = 0; i < 100; i++) more();
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
`;

async function open(broker: BrokerServer): Promise<RawClient> {
  const client = await RawClient.open(broker.port);
  const cbs = await Requests.open(client, "$cbs", 100);
  expect((await cbs.ask("put-token", "a token", { name: "sb://localhost/" })).status).toBe(202);
  return client;
}

async function expectToServe(broker: BrokerServer): Promise<void> {
  const client = await open(broker);
  await client.attachSender(0, "q");
  await client.next("flow");
  client.transfer(0, 0, section(0x77, "still there"));
  expect((await client.next("disposition")).performative).toMatchObject({ first: 0, settled: true });
  client.destroy();
}

test("ten thousand connections at once are taken and given up again, and clients are served meanwhile", { timeout: 90_000 }, async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const child = spawn(process.execPath, ["-e", OPEN_MANY, String(broker.port), "10000"], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  expect(line).toBe("open");
  await eventually(() => expect(broker.server.connections).toBe(10_000));
  await expectToServe(broker);
  child.stdin.end();
  await once(child, "exit");
  await eventually(() => expect(broker.server.connections).toBe(0));
  await expectToServe(broker);
});

test("frames whose values are garbage end the connection or the link that they came on, and nothing else", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q", { requiresSession: true });
  broker.namespace.createQueue("plain");
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return (seed >> 8) % below;
  };
  for (let round = 0; round < 40; round++) {
    const client = await open(broker);
    await client.attachReceiver(0, "plain");
    await client.attachSender(1, "plain");
    // Frames that are right but for some bytes reach every handler.
    const frames = [
      encodeFrame(0, {
        kind: "flow",
        nextIncomingId: 0,
        incomingWindow: 10,
        nextOutgoingId: 0,
        outgoingWindow: 10,
        handle: 0,
        deliveryCount: 0,
        linkCredit: 10,
        drain: true,
      }),
      encodeFrame(
        0,
        { kind: "transfer", handle: 1, deliveryId: 0, deliveryTag: Buffer.from("t"), messageFormat: 0x80013700 },
        section(0x75, section(0x77, map([]))),
      ),
      encodeFrame(0, { kind: "disposition", role: true, first: 0, last: 5, settled: false, state: map([]) }),
      encodeFrame(0, { kind: "attach", name: "x", handle: 3, role: true, source: map([]), properties: map([]) }),
      encodeFrame(0, { kind: "detach", handle: 0, closed: true }),
      encodeFrame(0, { kind: "end" }),
    ];
    for (const frame of frames) {
      for (let i = 0; i < 2; i++) frame[8 + random(frame.length - 8)] = random(256);
      client.write(frame);
    }
    client.socket.end();
    await once(client.socket, "close");
  }
  await eventually(() => expect(broker.server.connections).toBe(0));
  broker.namespace.createQueue("q2");
  const client = await open(broker);
  await client.attachReceiver(0, "q2");
  client.destroy();
});

test("a socket that is cut in the middle of a message leaves nothing of it behind", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  await client.attachSender(0, "q");
  await client.next("flow");
  client.transfer(0, 0, section(0x77, "first half"), { more: true });
  client.destroy();
  await eventually(() => expect(broker.server.connections).toBe(0));
  const other = await open(broker);
  const requests = await Requests.open(other, "q/$management", 4);
  const { status } = await requests.ask(
    "com.microsoft:peek-message",
    map([
      ["from-sequence-number", { type: "long", value: 0n }],
      ["message-count", { type: "int", value: 1 }],
    ]),
  );
  expect(status).toBe(204);
  other.destroy();
});

test("a client that asks without reading the answers loses its link instead of filling the memory", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = await open(broker);
  await client.attachReceiver(1, "q/$management");
  await client.attachSender(0, "q/$management");
  let { linkCredit = 0 } = (await client.next("flow")).performative;
  const request = Buffer.concat([section(0x74, map([["operation", "com.microsoft:unheard-of"]])), section(0x77, map([]))]);
  for (let sent = 0; sent <= 10_000; sent++) {
    if (linkCredit-- === 0) linkCredit = ((await client.next("flow")).performative.linkCredit ?? 0) - 1;
    client.transfer(0, sent, request, { settled: true });
  }
  expect((await client.next("detach")).performative).toMatchObject({ handle: 1, closed: true });
  client.destroy();
  await expectToServe(broker);
});

test("half a protocol header and half a frame wait for the rest, and cost nothing but a socket", async () => {
  await using broker = await BrokerServer.start({ limits: { handshakeTimeOut: 300 } });
  broker.namespace.createQueue("q");
  const socket = connect(broker.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(Buffer.from("414d51", "hex"));
  socket.resume();
  await once(socket, "close");
  await expectToServe(broker);
});
