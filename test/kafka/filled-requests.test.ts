import { once } from "node:events";
import { createRequire } from "node:module";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import kafkajs from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import type { RecordContent } from "../../transports/kafka/driver.js";
import { fillRequests } from "../../transports/kafka/filled-requests.js";
import { encodingCodec } from "../../transports/kafka/kafkajs-encoding.js";
import type { KafkajsModule } from "../../transports/kafka/kafkajs-home.js";
import { MARK, RecordBatchTicket } from "../../transports/kafka/record-batch-ticket.js";
import { encodeRecords } from "../../transports/kafka/record-encoder.js";

const require = createRequire(import.meta.url);
const produce = require("kafkajs/src/protocol/requests/produce/v7/request.js") as (request: object) => object;
const encode = require("kafkajs/src/protocol/request.js") as (request: object) => Promise<{ readonly buffer: Buffer }>;

const codec = encodingCodec(kafkajs as unknown as KafkajsModule, 0);
const record = (text: string): RecordContent => ({ key: Buffer.from(text), value: Buffer.from(text.repeat(50)), headers: { of: text } });
const records = (name: string, count: number): readonly RecordContent[] => Array.from({ length: count }, (_, i) => record(`${name}${i}`));

/** The request as kafkajs writes it, with what kafkajs is given for the records. */
async function requestOf(compression: number, topics: readonly { topic: string; partitions: readonly object[] }[]): Promise<Buffer> {
  const request = produce({ acks: -1, timeout: 1_000, compression, topicData: topics });
  return (await encode({ correlationId: 7, clientId: "tests", request })).buffer;
}

async function socketPair(): Promise<{ readonly socket: Socket; received(): Promise<Buffer> }> {
  const chunks: Buffer[] = [];
  const server = createServer((peer) => peer.on("data", (chunk: Buffer) => chunks.push(chunk)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "connect");
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  fillRequests(socket);
  return {
    socket,
    received: async () => {
      const peerClosed = new Promise((resolve) => server.close(resolve));
      socket.end();
      await peerClosed;
      return Buffer.concat(chunks);
    },
  };
}

// kafkajs puts the time into each batch.
function withoutTimes(request: Buffer, ...batches: readonly number[]): Buffer {
  for (const batch of batches) request.fill(0, batch + 17, batch + 21).fill(0, batch + 27, batch + 43);
  return request;
}

function batchesIn(request: Buffer): readonly number[] {
  const found: number[] = [];
  const before = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0]); // the first offset, which is followed by the length, the epoch and the version
  for (let at = request.indexOf(before); at !== -1; at = request.indexOf(before, at + 1)) {
    if (request[at + 16] === 2 && request.readInt32BE(at + 12) === 0 && request.readInt32BE(at - 4) === request.readInt32BE(at + 8) + 12)
      found.push(at);
  }
  return found;
}

test("a request is written as kafkajs writes it with all of its records, of several topics and partitions", async () => {
  const parts = [
    { topic: "a", partition: 0, of: records("x", 1) },
    { topic: "a", partition: 3, of: records("y", 300) },
    { topic: "b", partition: 1, of: records("z", 12) },
  ];
  const topicsOf = (messages: (part: (typeof parts)[number]) => readonly object[]) =>
    ["a", "b"].map((topic) => ({
      topic,
      partitions: parts.filter((part) => part.topic === topic).map((part) => ({ partition: part.partition, messages: messages(part) })),
    }));
  const tickets: RecordBatchTicket[] = [];
  const request = await requestOf(
    codec,
    topicsOf(({ partition, of }) => {
      const ticket = new RecordBatchTicket(partition, of);
      tickets.push(ticket);
      return ticket.placeholders;
    }),
  );
  const expected = await requestOf(
    0,
    topicsOf(({ of }) => of.map(({ key, value, headers }) => ({ key, value, headers }))),
  );

  const { socket, received } = await socketPair();
  socket.write(Buffer.from("before"));
  socket.write(request);
  socket.write(Buffer.from("after"));
  for (const ticket of tickets) ticket.close();
  const sent = await received();
  expect(sent.subarray(0, 6).toString()).toBe("before");
  expect(sent.subarray(-5).toString()).toBe("after");
  const filled = sent.subarray(6, -5);
  const batches = batchesIn(expected);
  expect(batches).toHaveLength(3);
  const crc = require("kafkajs/src/protocol/recordBatch/crc32C/index.js") as (bytes: Buffer) => number;
  for (const batch of batches) {
    const end = batch + 12 + filled.readInt32BE(batch + 8);
    expect(filled.readUInt32BE(batch + 17)).toBe(crc(filled.subarray(batch + 21, end)));
  }
  expect(withoutTimes(filled, ...batches).equals(withoutTimes(expected, ...batches))).toBe(true);
});

test("compressed records take the place of the stand-in too", async () => {
  const compressing = encodingCodec(kafkajs as unknown as KafkajsModule, 1);
  const ticket = new RecordBatchTicket(0, records("x", 500));
  const request = await requestOf(compressing, [{ topic: "a", partitions: [{ partition: 0, messages: ticket.placeholders }] }]);
  const { socket, received } = await socketPair();
  socket.write(request);
  const sent = await received();
  expect(sent.readInt32BE(0)).toBe(sent.length - 4);
  expect(sent.includes(MARK)).toBe(false);
  expect(sent.subarray(-(ticket.bytes?.length ?? 0)).equals(ticket.bytes ?? MARK)).toBe(true);
  expect(ticket.bytes?.length).toBeLessThan(encodeRecords(ticket.records).length);
});

test("nothing is written of a request that was given up, neither when it is made nor when it waits to be sent", async () => {
  const ticket = new RecordBatchTicket(0, records("x", 3));
  const topics = [{ topic: "a", partitions: [{ partition: 0, messages: ticket.placeholders }] }];
  const request = await requestOf(codec, topics);
  ticket.close();
  const { socket, received } = await socketPair();
  expect(socket.write(request)).toBe(true);
  expect(await received()).toHaveLength(0);
  await expect(requestOf(codec, topics)).rejects.toThrow("are gone");
});
