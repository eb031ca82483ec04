import { once } from "node:events";
import { createRequire } from "node:module";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import kafkajs from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { kafkajsHome } from "../../transports/kafka/kafkajs-home.js";
import { resolveOptions } from "../../transports/kafka/options.js";
import { onlyWholeResponses } from "../../transports/kafka/whole-responses.js";
import { RecordingLogger } from "../support/recording-logger.js";
import { eventually } from "./support/eventually.js";

/** A server that does with each connection what the next of these says. */
async function server(...behaviours: readonly ((socket: Socket) => void)[]): Promise<number> {
  let connections = 0;
  const listening = createServer((socket) => {
    socket.on("error", () => {});
    behaviours[Math.min(connections++, behaviours.length - 1)]?.(socket);
  });
  onTestFinished(() => void listening.close());
  listening.listen(0, "127.0.0.1");
  await once(listening, "listening");
  return (listening.address() as AddressInfo).port;
}

function response(text: string): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(text.length);
  return Buffer.concat([size, Buffer.from(text)]);
}

async function received(pieces: readonly Buffer[]): Promise<{ readonly whole: Buffer[]; readonly error: Error | undefined }> {
  const port = await server(async (socket) => {
    for (const piece of pieces) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    socket.end();
  });
  const socket = connect(port, "127.0.0.1");
  onlyWholeResponses(socket);
  const whole: Buffer[] = [];
  let error: Error | undefined;
  socket.on("data", (data: Buffer) => void whole.push(data));
  socket.on("error", (reason) => {
    error = reason;
  });
  await new Promise((resolve) => socket.once("close", resolve));
  return { whole, error };
}

test("responses come whole, however they were cut on their way", async () => {
  const [one, two, three] = [response("one"), response(""), response("x".repeat(100_000))];
  const all = Buffer.concat([one, two, three]);
  for (const cuts of [[], [1], [3], [4], [6, 8, 13], [500, 99_000]]) {
    const edges = [0, ...cuts, all.length];
    const { whole } = await received(edges.slice(1).map((edge, i) => all.subarray(edges[i], edge)));
    expect(Buffer.concat(whole).equals(all)).toBe(true);
    for (const data of whole)
      for (let at = 0; at < data.length; at += 4 + data.readInt32BE(at))
        expect(at + 4 + data.readInt32BE(at)).toBeLessThanOrEqual(data.length);
  }
});

test("the half with which a connection ends is never handed over", async () => {
  const { whole } = await received([response("one"), response("two").subarray(0, 5)]);
  expect(Buffer.concat(whole).equals(response("one"))).toBe(true);
});

test("what is no response ends the connection with an error, and not the process", async () => {
  const { error, whole } = await received([Buffer.from("\xff\xff\xff\xffHTTP", "latin1")]);
  expect([whole, error?.name]).toEqual([[], "RangeError"]);
});

test("a client whose connection ended within a response understands the next connection", async () => {
  const answer = (socket: Socket, send: (whole: Buffer) => void): void =>
    void socket.on("data", (request: Buffer) => {
      // The versions of the protocol: of its two variants the first, without an error, with one API.
      const body = Buffer.alloc(16);
      body.writeInt32BE(request.readInt32BE(8), 0);
      body.writeInt32BE(1, 6);
      body.writeInt16BE(18, 10);
      body.writeInt16BE(2, 14);
      const size = Buffer.alloc(4);
      size.writeInt32BE(body.length + 4);
      send(Buffer.concat([size, body, Buffer.alloc(4)]));
    });
  const port = await server(
    (socket) => answer(socket, (whole) => socket.end(whole.subarray(0, 11))),
    (socket) => answer(socket, (whole) => socket.write(whole)),
  );
  type ConnectionClass = new (
    options: object,
  ) => { connect(): Promise<unknown>; disconnect(): Promise<unknown>; send(request: object): Promise<unknown> };
  const require = createRequire(import.meta.url);
  const Connection = require("kafkajs/src/network/connection") as ConnectionClass;
  const apiVersions = require("kafkajs/src/protocol/requests/apiVersions") as { protocol(options: { version: number }): () => object };
  let factory: unknown;
  const module = {
    ...kafkajs,
    Kafka: class {
      constructor(options: { socketFactory: unknown }) {
        factory = options.socketFactory;
      }
    },
  };
  kafkajsHome(
    module as unknown as Parameters<typeof kafkajsHome>[0],
    resolveOptions({ brokers: "127.0.0.1:9092" }),
    "tests",
    new RecordingLogger(),
  );
  const quiet = { debug: () => {}, error: () => {}, warn: () => {}, info: () => {}, namespace: () => quiet };
  const connection = new Connection({
    host: "127.0.0.1",
    port,
    logger: quiet,
    socketFactory: factory,
    connectionTimeout: 2_000,
    requestTimeout: 2_000,
  });
  const ask = (): Promise<unknown> => connection.send(apiVersions.protocol({ version: 2 })());
  await connection.connect();
  await expect(ask()).rejects.toThrow();
  await eventually("a new connection", () => connection.connect().then(Boolean, () => false));

  await expect(ask()).resolves.toMatchObject({ apiVersions: [{ apiKey: 18, minVersion: 0, maxVersion: 2 }] });
  await connection.disconnect();
});
