import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TcpProxy } from "./tcp-proxy.js";

/** A client behind the proxy that remembers what came and how it ended. */
class Client {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  chunks = 0;
  ended = false;
  errorCode: string | undefined;
  readonly closed: Promise<void>;

  private constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.on("data", (data) => {
      this.received = Buffer.concat([this.received, data]);
      this.chunks++;
    });
    this.socket.on("end", () => {
      this.ended = true;
    });
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code;
    });
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
  }

  static async connected(port: number): Promise<Client> {
    const client = new Client(port);
    await once(client.socket, "connect");
    clients.push(client);
    return client;
  }

  async receives(bytes: number): Promise<void> {
    while (this.received.length < bytes) await once(this.socket, "data", { signal: AbortSignal.timeout(5_000) });
  }
}

const clients: Client[] = [];
const accepted: Socket[] = [];
let echo: Server;
let proxy: TcpProxy;

beforeEach(async () => {
  echo = createServer((socket) => {
    accepted.push(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  proxy = await TcpProxy.listen({ targetPort: (echo.address() as AddressInfo).port, seed: 7 });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  await proxy.close();
  for (const socket of accepted.splice(0)) socket.destroy();
  await new Promise((resolve) => echo.close(resolve));
});

async function roundTripMs(client: Client): Promise<number> {
  const begin = performance.now();
  client.socket.write("x");
  await client.receives(client.received.length + 1);
  return performance.now() - begin;
}

/** Of several, since a busy machine makes any single one slow. */
async function fastestRoundTripMs(client: Client): Promise<number> {
  let fastest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 10; i++) fastest = Math.min(fastest, await roundTripMs(client));
  return fastest;
}

describe("the TCP proxy", () => {
  it("carries bytes both ways unchanged, in order, and hands on the end", async () => {
    const client = await Client.connected(proxy.port);
    const sent = Buffer.alloc(3_000_000, "0123456789abcdef");
    client.socket.end(sent);
    await client.closed;
    expect(client.received.equals(sent)).toBe(true);
    expect(client.ended).toBe(true);
    expect(proxy.connections).toBe(0);
    expect(proxy.cut).toBe(0);
  });

  it("latency delays each way, keeps the order, does not limit the rate, and goes away on an open connection", async () => {
    const client = await Client.connected(proxy.port);
    await proxy.apply({ type: "latency", ms: 60, jitterMs: 20 });
    expect(await roundTripMs(client)).toBeGreaterThan(75);
    const sent = Buffer.from(Array.from({ length: 200 }, (_, i) => String(i).padStart(4, "0")).join(""));
    const begin = performance.now();
    for (let at = 0; at < sent.length; at += 4) {
      client.socket.write(sent.subarray(at, at + 4));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.receives(sent.length + 1);
    expect(client.received.subarray(1).toString()).toBe(sent.toString());
    expect(performance.now() - begin).toBeLessThan(200 * 60);
    await proxy.remove("latency");
    expect(await fastestRoundTripMs(client)).toBeLessThan(60);
  });

  it("latency of one direction leaves the other alone", async () => {
    const client = await Client.connected(proxy.port);
    await proxy.apply({ type: "latency", ms: 300, direction: "downstream" });
    const begin = performance.now();
    client.socket.write("x");
    while ((accepted[0]?.bytesRead ?? 0) === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(client.received.length).toBe(0);
    await client.receives(1);
    expect(performance.now() - begin).toBeGreaterThan(295);
  });

  it("down closes what is open and refuses what is new, until it is taken away, on the same port", async () => {
    const client = await Client.connected(proxy.port);
    await roundTripMs(client);
    const { port } = proxy;
    await proxy.apply({ type: "down" });
    await client.closed;
    await expect(Client.connected(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await proxy.remove("down");
    expect(proxy.port).toBe(port);
    await roundTripMs(await Client.connected(port));
    expect(proxy.cut).toBe(1);
  });

  it("bandwidth limits the rate", async () => {
    const client = await Client.connected(proxy.port);
    await proxy.apply({ type: "bandwidth", bytesPerSecond: 20_000, direction: "upstream" });
    const begin = performance.now();
    client.socket.write(Buffer.alloc(10_000));
    await client.receives(10_000);
    const took = performance.now() - begin;
    expect(took).toBeGreaterThan(380);
    expect(took).toBeLessThan(2_000);
  });

  it("slow close hands the end of the server on later", async () => {
    const client = await Client.connected(proxy.port);
    await roundTripMs(client);
    await proxy.apply({ type: "slow-close", ms: 120, direction: "downstream" });
    const begin = performance.now();
    accepted[0]?.end();
    await client.closed;
    expect(performance.now() - begin).toBeGreaterThan(110);
  });

  it("a black hole swallows without a word, and the stream is reset, never holed, when it is taken away", async () => {
    const client = await Client.connected(proxy.port);
    await roundTripMs(client);
    await proxy.apply({ type: "black-hole" });
    client.socket.write("lost");
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(client.received.length).toBe(1);
    expect(client.ended).toBe(false);
    expect(accepted[0]?.bytesRead).toBe(1);
    await proxy.remove("black-hole");
    await client.closed;
    expect(client.errorCode).toBe("ECONNRESET");
  });

  it("a black hole through which nothing went leaves the connection alone", async () => {
    const client = await Client.connected(proxy.port);
    await roundTripMs(client);
    await proxy.apply({ type: "black-hole" });
    await proxy.heal();
    await roundTripMs(client);
    expect(proxy.cut).toBe(0);
  });

  it("connections that it forgets are never heard again, nor ended, while new ones carry", async () => {
    const old = await Client.connected(proxy.port);
    old.socket.write("before");
    await old.receives(6);
    proxy.forgetConnections();
    old.socket.write("after");
    const fresh = await Client.connected(proxy.port);
    fresh.socket.write("fresh");
    await fresh.receives(5);
    await proxy.heal();
    expect([old.received.toString(), old.errorCode, old.ended]).toEqual(["before", undefined, false]);
  });

  it("a black hole with a time closes after it", async () => {
    const client = await Client.connected(proxy.port);
    await roundTripMs(client);
    const begin = performance.now();
    await proxy.apply({ type: "black-hole", closeAfterMs: 80 });
    await client.closed;
    expect(performance.now() - begin).toBeGreaterThan(70);
  });

  it("reset ends connections by a TCP reset, after its time", async () => {
    const client = await Client.connected(proxy.port);
    await roundTripMs(client);
    await proxy.apply({ type: "reset", afterMs: 50 });
    await roundTripMs(client);
    await client.closed;
    expect(client.errorCode).toBe("ECONNRESET");
    const second = await Client.connected(proxy.port);
    await second.closed;
    expect(second.errorCode).toBe("ECONNRESET");
    expect(proxy.cut).toBe(2);
  });

  it("the slicer cuts data into small pieces and loses none of it", async () => {
    const client = await Client.connected(proxy.port);
    await proxy.apply({ type: "slicer", bytes: 20, variation: 10, pauseMs: 1, direction: "downstream" });
    const sent = Buffer.from(Array.from({ length: 1_000 }, (_, i) => i % 251));
    client.socket.write(sent);
    await client.receives(sent.length);
    expect(client.received.equals(sent)).toBe(true);
    expect(client.chunks).toBeGreaterThan(20);
  });

  it("limit closes a connection after so many bytes, in the middle of what it carries", async () => {
    await proxy.apply({ type: "limit", bytes: 1_000, direction: "downstream" });
    const client = await Client.connected(proxy.port);
    client.socket.write(Buffer.alloc(2_500));
    await client.closed;
    expect(client.received.length).toBe(1_000);
    expect(proxy.cut).toBe(1);
  });

  it("hands on that the server is not there", async () => {
    const nobody = createServer();
    await new Promise<void>((resolve) => nobody.listen(0, "127.0.0.1", resolve));
    const { port } = nobody.address() as AddressInfo;
    await new Promise((resolve) => nobody.close(resolve));
    const lonely = await TcpProxy.listen({ targetPort: port });
    const client = await Client.connected(lonely.port);
    await client.closed;
    expect(lonely.connections).toBe(0);
    await lonely.close();
  });

  it("takes several behaviours at once, and heal takes all away", async () => {
    const client = await Client.connected(proxy.port);
    await proxy.apply({ type: "latency", ms: 40 });
    await proxy.apply({ type: "slicer", bytes: 100 });
    expect(await roundTripMs(client)).toBeGreaterThan(70);
    await proxy.heal();
    expect(await fastestRoundTripMs(client)).toBeLessThan(40);
  });
});
