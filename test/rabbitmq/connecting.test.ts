import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import type { TransportError } from "../../src/contracts/transport.js";
import { connectError, mistakeInServer } from "../../transports/rabbitmq/connect-error.js";
import { rabbitmq } from "../../transports/rabbitmq/index.js";
import { describeWithRabbitmq } from "../support/brokers.js";
import { selfSigned } from "../support/self-signed.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { eventually } from "./support/eventually.js";
import { Bench, message } from "./support/port.js";
import { withUser } from "./support/users.js";

async function errorOf(work: Promise<unknown>): Promise<TransportError> {
  try {
    await work;
  } catch (error) {
    return error as TransportError;
  }
  throw new Error("it should have failed");
}

function changed(url: string, change: (url: URL) => void): string {
  const copy = new URL(url);
  change(copy);
  return copy.href;
}

describeWithRabbitmq("connecting", ({ url, managementUrl }) => {
  test("a wrong password names the user, and never the password", async () => {
    const bench = new Bench(url);
    const port = bench.newPort({ url: changed(url, (copy) => Object.assign(copy, { username: "guest", password: "not-the-secret" })) });

    const error = await errorOf(port.open());

    expect(error).toMatchObject({ code: "configuration", retryable: false });
    expect(error.message).toContain('user "guest"');
    expect(inspect(error, { depth: 10 })).not.toContain("not-the-secret");
    expect(port.log.join("\n")).not.toContain("not-the-secret");
    expect(inspect(port.transport, { depth: 10, showHidden: true })).not.toContain("not-the-secret");
  });

  test("a virtual host that does not exist is named", async () => {
    const bench = new Bench(url);

    const error = await errorOf(bench.newPort({ url: changed(url, (copy) => Object.assign(copy, { pathname: "/no%2Fsuch" })) }).open());

    expect(error).toMatchObject({ code: "configuration", retryable: false });
    expect(error.message).toContain('virtual host "no/such"');
  });

  test("a virtual host in which the user has no rights is named, with what the server says", async () => {
    const bench = new Bench(url);
    await using user = await withUser(url, managementUrl, { configure: ".*", write: ".*", read: ".*" });
    await user.forbid();

    const error = await errorOf(bench.newPort({ url: user.url }).open());

    expect(error).toMatchObject({ code: "configuration", retryable: false });
    expect(error.message).toContain(`refused for user '${user.name}'`);
    expect(inspect(error, { depth: 10 })).not.toContain(user.password);
  });

  test("a connection limit that is reached is waited for, since it passes", async () => {
    const bench = new Bench(url);
    await using user = await withUser(url, managementUrl, { configure: ".*", write: ".*", read: ".*" });
    await user.limitConnections(0);
    const port = bench.newPort({ url: user.url });

    const opening = port.open();
    await eventually("two tries", () => port.log.filter((line) => line.includes("connection limit (0) is reached")).length >= 2);
    await user.limitConnections(10);
    await opening;

    expect(port.statusOf("publisher")?.status).toBe("up");
  });

  test("a host name that is not known is named", async () => {
    const error = await errorOf(new Bench(url).newPort({ url: "amqp://guest:guest@no-such-host.invalid" }).open());

    expect(error).toMatchObject({ code: "configuration", retryable: false });
    expect(error.message).toContain("no-such-host.invalid:5672");
  });

  test("amqps to a port without TLS says so", async () => {
    const error = await errorOf(
      new Bench(url)
        .newPort({ url: changed(url, (copy) => Object.assign(copy, { protocol: "amqps:" })).replace("amqp:", "amqps:") })
        .open(),
    );

    expect(error).toMatchObject({ code: "configuration", retryable: false });
    expect(error.message).toContain("TLS");
  });

  test("a broker that is not up is tried until the signal aborts", async () => {
    const port = new Bench(url).newPort({ url: "amqp://guest:guest@127.0.0.1:1" });

    const error = await errorOf(port.open(AbortSignal.timeout(700)));

    expect(error).toMatchObject({ code: "unavailable", retryable: true });
    expect(port.log.filter((line) => line.startsWith("warn")).length).toBeGreaterThan(1);
  });

  test("a broker that comes up meanwhile is connected to", async () => {
    const bench = new Bench(url);
    const target = new URL(url);
    const server = createServer((client) => {
      const upstream = connectTcp(Number(target.port), target.hostname);
      client
        .on("error", () => {})
        .pipe(upstream)
        .on("error", () => {})
        .pipe(client);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port: tcpPort } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const port = bench.newPort({ url: changed(url, (copy) => Object.assign(copy, { host: `127.0.0.1:${tcpPort}` })) });

    const opening = port.open();
    await eventually("a first try", () => port.log.length > 0);
    await new Promise<void>((resolve) => server.listen(tcpPort, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());

    await opening;
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    expect((await port.send(message({ endpoint: "shipping" }, "1")))[0]?.outcome).toBe("sent");
  });

  test("of several nodes the first that answers is used", async () => {
    const bench = new Bench(url);
    const port = await bench.port({ url: ["amqp://guest:guest@127.0.0.1:1", "amqp://guest:guest@no-such-host.invalid", url] });

    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");

    expect((await port.send(message({ endpoint: "shipping" }, "1")))[0]?.outcome).toBe("sent");
  });

  test("a transport serves one bus; a second open says what to do", async () => {
    const port = await new Bench(url).port();

    const error = await errorOf(port.open());

    expect(error).toMatchObject({ code: "configuration", retryable: false });
    expect(error.message).toContain("another bus");
  });

  test("after an open that failed the transport can be opened", async () => {
    const bench = new Bench(url);
    const port = bench.newPort();
    await errorOf(port.open(AbortSignal.abort()));

    await port.open();

    expect(port.statusOf("publisher")?.status).toBe("up");
  });

  test("a broker that only listens and says nothing does not hold up the end of the wait", async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port: tcpPort } = server.address() as { port: number };
    const port = new Bench(url).newPort({ url: `amqp://guest:guest@127.0.0.1:${tcpPort}`, connectTimeout: "5m" });

    const before = performance.now();
    const error = await errorOf(port.open(AbortSignal.timeout(500)));

    expect(error).toMatchObject({ code: "unavailable", retryable: true });
    expect(performance.now() - before).toBeLessThan(5_000);
  });

  test("a certificate from an unknown authority is refused, and trusted with that authority", async () => {
    const bench = new Bench(url);
    const certificate = selfSigned("localhost");
    const target = new URL(url);
    const server = createTlsServer({ key: certificate.key, cert: certificate.cert }, (client) => {
      const upstream = connectTcp(Number(target.port), target.hostname);
      client
        .on("error", () => upstream.destroy())
        .pipe(upstream)
        .on("error", () => client.destroy())
        .pipe(client);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port: tcpPort } = server.address() as { port: number };
    const secure = (host: string): string => `amqps://${target.username}:${target.password}@${host}:${tcpPort}`;

    const untrusted = await errorOf(bench.newPort({ url: secure("localhost") }).open());
    expect(untrusted).toMatchObject({ code: "configuration", retryable: false });
    expect(untrusted.message).toContain("certificate");
    expect(untrusted.message).toContain("tls.ca");

    const wrongName = await errorOf(
      bench.newPort({ url: secure("127.0.0.1"), tls: { ca: certificate.cert, serverName: "elsewhere" } }).open(),
    );
    expect(wrongName).toMatchObject({ code: "configuration" });

    // The certificate is renewed after the bus was made.
    const folder = mkdtempSync(join(tmpdir(), "trolleybus-tls-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const caFile = join(folder, "ca.pem");
    writeFileSync(caFile, selfSigned("localhost").cert);
    const port = bench.newPort({ url: secure("localhost"), tls: { caFile } });
    writeFileSync(caFile, certificate.cert);
    await port.open();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    expect((await port.send(message({ endpoint: "shipping" }, "1")))[0]?.outcome).toBe("sent");
  });

  test("processes begin with different nodes of the list: the first would have the connections of all", async () => {
    const bench = new Bench(url);
    const target = new URL(url);
    const listen = (): Promise<TcpProxy> => TcpProxy.listen({ targetHost: target.hostname, targetPort: Number(target.port || 5672) });
    const proxies = [await listen(), await listen()];
    for (const proxy of proxies) onTestFinished(() => proxy.close());
    const nodes = proxies.map((proxy) => changed(url, (copy) => Object.assign(copy, { host: `127.0.0.1:${proxy.port}` })));

    await Promise.all(Array.from({ length: 10 }, () => bench.port({ url: nodes })));

    expect(proxies.map((proxy) => proxy.connections > 0)).toEqual([true, true]);
  });

  test("close ends both connections and lets the process go", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port({ connectionName: bench.namePrefix });
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const inbox = await port.receive(plan);
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
    const open = sockets();

    await inbox.close();
    await port.close();

    await eventually("the sockets to be gone", () => sockets() <= open - 2);
  });

  test("a connection that is lost without a word leaves no socket, which would keep the process from ending", async () => {
    const bench = new Bench(url);
    const target = new URL(url);
    const proxy = await TcpProxy.listen({ targetHost: target.hostname, targetPort: Number(target.port || 5672) });
    onTestFinished(() => proxy.close());
    const sockets: Socket[] = [];
    const remember = (made: unknown): void => void sockets.push((made as { socket: Socket }).socket);
    subscribe("net.client.socket", remember);
    onTestFinished(() => void unsubscribe("net.client.socket", remember));
    const port = await bench.port({ url: changed(url, (copy) => (copy.port = String(proxy.port))), heartbeat: "1s" });
    const live = sockets.find(({ remotePort }) => remotePort === proxy.port);

    await proxy.apply({ type: "black-hole", direction: "downstream" });
    await eventually("the loss to be noticed", () => port.log.some((text) => text.includes("is lost: Heartbeat timeout")));
    await port.close();

    expect(live?.destroyed).toBe(true);
  });
});

describe("what is wrong with a server", () => {
  const addresses = {
    secure: false,
    host: "rabbit",
    port: 5672,
    username: "u",
    password: "p",
    virtualHost: "/",
    parameters: new URLSearchParams(),
  };
  const notOpened = new Error("Expected ConnectionOpenOk; got <ConnectionClose channel:0>");

  test.each([
    [541, "INTERNAL_ERROR - access to vhost 'v' refused for user 'u': vhost 'v' is down"],
    [530, "NOT_ALLOWED - access to vhost 'v' refused for user 'u': connection limit (10) is reached"],
    [530, "NOT_ALLOWED - connection refused for user 'u': user connection limit (10) is reached"],
    [320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"],
  ])("what may pass is tried again: %i %s", (code, text) => {
    expect(connectError(notOpened, addresses, { code, text })).toMatchObject({ code: "unavailable", retryable: true });
  });

  test.each([
    [530, "NOT_ALLOWED - vhost v not found"],
    [530, "NOT_ALLOWED - access to vhost 'v' refused for user 'u'"],
    [403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN."],
  ])("what somebody has to change is told at once: %i %s", (code, text) => {
    expect(connectError(notOpened, addresses, { code, text })).toMatchObject({ code: "configuration", retryable: false });
  });

  test("a refusal whose reason nobody told is tried again", () => {
    expect(connectError(notOpened, addresses, undefined)).toMatchObject({ code: "unavailable", retryable: true });
  });

  test.each(["3.9.29", "3.8.0", "2.7.1"])("RabbitMQ %s is too old", (version) => {
    expect(mistakeInServer({ product: "RabbitMQ", version }, addresses)).toMatchObject({ code: "configuration", retryable: false });
    expect(mistakeInServer({ product: "RabbitMQ", version }, addresses)?.message).toContain("3.10.0 or later");
  });

  test.each(["3.10.0", "3.10.8", "3.13.7", "4.0.5", "4.2.0-rc.1"])("RabbitMQ %s will do", (version) => {
    expect(mistakeInServer({ product: "RabbitMQ", version }, addresses)).toBeUndefined();
  });
});

describe("the transport before it is opened", () => {
  test("it refuses to send and closes in peace", async () => {
    const transport = rabbitmq({ url: "amqp://localhost" });

    const [result] = await transport.send([message({ endpoint: "x" }, "1")], AbortSignal.timeout(1_000));

    expect(result?.outcome).toBe("refused");
    await transport.close(performance.now());
  });
});
