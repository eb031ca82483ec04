import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { isInstalled, KAFKA_4 } from "../../scripts/brokers.d/support/kafka-programs.mjs";
import type { KafkaOptions } from "../../transports/kafka/index.js";
import { brokerScripts, type KafkaNode } from "../faults/transports/kafka-control.js";
import { selfSigned } from "../support/self-signed.js";
import { eventually } from "./support/eventually.js";
import { Bench, type Inbox, message, Port } from "./support/port.js";

const soon = (): AbortSignal => AbortSignal.timeout(1_500);

async function errorOf(opening: Promise<unknown>): Promise<{ code: string; retryable: boolean; message: string }> {
  const error = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as { code: string; retryable: boolean; message: string } & Error;
}

/** A server that takes connections and does with each as told. */
async function server(connected: (socket: Socket) => void): Promise<string> {
  const listening: Server = createServer((socket) => {
    socket.on("error", () => {});
    connected(socket);
  });
  const sockets = new Set<Socket>();
  listening.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listening.close();
  });
  return `127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

const portTo = (options: KafkaOptions): Port => {
  const port = new Port(options, "t.");
  onTestFinished(() => port.close());
  return port;
};

describe("a broker that cannot be reached", () => {
  test("is tried until the time is up, and then named", async () => {
    const port = portTo({ brokers: ["127.0.0.1:1", "127.0.0.1:2"] });
    const error = await errorOf(port.open(soon()));
    expect(error).toMatchObject({ code: "unavailable", retryable: true });
    expect(error.message).toContain("127.0.0.1:1, 127.0.0.1:2");
    expect(error.message).toContain("ECONNREFUSED");
    expect(port.log.some((line) => line.startsWith("warn") && line.includes("tried again"))).toBe(true);
  });

  test("since it stands still does not keep others of the list from being tried", async () => {
    const tried = new Set<string>();
    const silent = (name: string): Promise<string> => server(() => void tried.add(name));
    const port = portTo({ brokers: [await silent("first"), await silent("second"), await silent("third")], connectTimeout: "300ms" });
    const stop = new AbortController();
    const opening = errorOf(port.open(stop.signal));
    await eventually("each to be tried", () => tried.size === 3);
    stop.abort();
    expect(await opening).toMatchObject({ code: "unavailable", retryable: true });
  });

  test("because nobody knows its name ends the start at once, unless another one may answer", async () => {
    const error = await errorOf(portTo({ brokers: "no-such-host.invalid:9092" }).open(AbortSignal.timeout(15_000)));
    expect(error).toMatchObject({ code: "configuration", retryable: false });
    expect(error.message).toContain("no-such-host.invalid:9092");
    expect(await errorOf(portTo({ brokers: "no-such-host.invalid:9092,127.0.0.1:1" }).open(soon()))).toMatchObject({ code: "unavailable" });
  });

  test("because it says nothing is given up after the connect timeout, again and again", async () => {
    let connections = 0;
    const brokers = await server(() => void connections++);
    const error = await errorOf(portTo({ brokers, connectTimeout: "300ms" }).open(soon()));
    expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining("no answer within 300 ms") });
    expect(connections).toBeGreaterThan(1);
  });

  test("because it closes at once is told with what that may mean", async () => {
    const brokers = await server((socket) => socket.end());
    expect(await errorOf(portTo({ brokers }).open(soon()))).toMatchObject({ code: "unavailable" });
  });

  test("because it does not speak TLS ends the start at once", async () => {
    const brokers = await server((socket) => socket.on("data", () => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")));
    const error = await errorOf(portTo({ brokers, tls: true }).open(AbortSignal.timeout(15_000)));
    expect(error).toMatchObject({ code: "configuration", retryable: false, message: expect.stringContaining("TLS") });
  });
});

const PORT = 19_296;
const SECURE_PORT = 19_297;
const TLS_PORT = 19_299;

/** A certificate, and the file from which Kafka reads it with its key. */
function storedCertificate(): { readonly folder: string; readonly cert: string; readonly keystore: string } {
  const folder = mkdtempSync(join(tmpdir(), "trolleybus-kafka-tls-"));
  const keystore = join(folder, "keystore.pem");
  const { key, cert } = selfSigned("localhost");
  writeFileSync(keystore, key + cert);
  return { folder, cert, keystore };
}

describe.skipIf(!isInstalled(KAFKA_4))("a broker that asks who we are", () => {
  let broker: KafkaNode;
  let certificate: ReturnType<typeof storedCertificate>;
  const secure = { brokers: `127.0.0.1:${SECURE_PORT}`, sasl: { mechanism: "plain", username: "orders", password: "hunter2" } } as const;

  beforeAll(async () => {
    certificate = storedCertificate();
    broker = (await brokerScripts()).kafkaControl({
      name: "kafka-secure",
      port: PORT,
      detours: [],
      settings: {
        listeners: `PLAINTEXT://127.0.0.1:${PORT},CONTROLLER://127.0.0.1:${PORT + 500},SECURE://127.0.0.1:${SECURE_PORT},TLS://127.0.0.1:${TLS_PORT}`,
        "advertised.listeners": `PLAINTEXT://127.0.0.1:${PORT},SECURE://127.0.0.1:${SECURE_PORT},TLS://localhost:${TLS_PORT}`,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_PLAINTEXT,TLS:SSL",
        "listener.name.tls.ssl.keystore.type": "PEM",
        "listener.name.tls.ssl.keystore.location": certificate.keystore,
        "listener.name.secure.sasl.enabled.mechanisms": "PLAIN,OAUTHBEARER",
        "listener.name.secure.plain.sasl.jaas.config":
          'org.apache.kafka.common.security.plain.PlainLoginModule required user_orders="hunter2" user_admin="x";',
        "listener.name.secure.oauthbearer.sasl.jaas.config":
          "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:admin",
      },
    });
    await broker.start();
  }, 120_000);
  afterAll(async () => {
    await broker.stop();
    broker.deleteData();
    rmSync(certificate.folder, { recursive: true });
  }, 60_000);

  /** Gives user "orders" these rights to topics that begin so. */
  async function grant(bench: Bench, name: string, ...operations: number[]): Promise<void> {
    await grantOf(TOPIC, bench, name, ...operations);
  }

  /** The same, to topics or to groups. */
  async function grantOf(resourceType: number, bench: Bench, name: string, ...operations: number[]): Promise<void> {
    const acl = operations.map((operation) => ({
      resourceType,
      resourceName: bench.namePrefix + name,
      resourcePatternType: 4,
      principal: "User:orders",
      host: "*",
      operation,
      permissionType: 3,
    }));
    await (await bench.admin()).createAcls({ acl });
  }
  const TOPIC = 2;
  const GROUP = 3;
  const READ = 3;
  const WRITE = 4;
  const CREATE = 5;
  const DELETE = 6;
  const DESCRIBE = 8;
  const DESCRIBE_CONFIGS = 10;

  test("takes the right password, and a wrong one ends the start at once, without telling it", async () => {
    const port = await portTo(secure).open();
    expect(port.statusOf("publisher")?.status).toBe("up");

    const wrong = await errorOf(portTo({ ...secure, sasl: { ...secure.sasl, password: "hunter3" } }).open(AbortSignal.timeout(15_000)));
    expect(wrong).toMatchObject({ code: "configuration", retryable: false });
    expect(wrong.message).toContain(`127.0.0.1:${SECURE_PORT}`);
    expect(wrong.message).toContain("password");
    expect(wrong.message).not.toContain("hunter");
  });

  test("does not take another mechanism", async () => {
    const sasl = { mechanism: "scram-sha-512", username: "orders", password: "hunter2" } as const;
    expect(await errorOf(portTo({ ...secure, sasl }).open(AbortSignal.timeout(15_000)))).toMatchObject({
      code: "configuration",
      message: expect.stringContaining("sasl.mechanism"),
    });
  });

  test("takes a token that is asked for when a connection is made", async () => {
    let asked = 0;
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const token = async (): Promise<string> => {
      asked++;
      const now = Math.floor(Date.now() / 1_000);
      return `${part({ alg: "none" })}.${part({ sub: "admin", iat: now, exp: now + 3_600 })}.`;
    };
    const port = await portTo({ brokers: secure.brokers, sasl: { mechanism: "oauthbearer", token } }).open();
    expect(port.statusOf("publisher")?.status).toBe("up");
    expect(asked).toBeGreaterThan(0);
  });

  test("is spoken to with TLS, and believed only with a certificate of an authority that is trusted, for its name", async () => {
    const bench = new Bench([broker.address]);
    const brokers = `localhost:${TLS_PORT}`;
    const ca = certificate.cert;
    const untrusted = await errorOf(portTo({ brokers, tls: true }).open(AbortSignal.timeout(15_000)));
    expect(untrusted).toMatchObject({ code: "configuration", retryable: false, message: expect.stringContaining("tls.ca") });
    const another = await errorOf(portTo({ brokers, tls: { ca, serverName: "elsewhere" } }).open(AbortSignal.timeout(15_000)));
    expect(another).toMatchObject({ code: "configuration", message: expect.stringContaining("tls.serverName") });

    // The certificate is renewed after the bus was made.
    const caFile = join(certificate.folder, "ca.pem");
    writeFileSync(caFile, selfSigned("localhost").cert);
    const port = bench.newPort({ brokers, tls: { caFile } });
    writeFileSync(caFile, ca);
    await port.open();
    await port.transport.provision({ events: ["a.thing"], endpoints: [] }, "create");
    expect(await port.send(message({ event: "a.thing" }, "x"))).toEqual([{ outcome: "sent" }]);

    expect(await errorOf(portTo({ brokers }).open(soon()))).toMatchObject({ code: "unavailable" });
  });

  test("a topic that may not be made, looked at or written to is named with the right that is missing", async () => {
    const bench = new Bench([broker.address]);
    const port = await bench.port(secure);
    await bench.makeTopic("known", 1);
    await bench.makeTopic("unseen", 1);
    await grant(bench, "known", DESCRIBE);

    const provisioning = await errorOf(port.transport.provision({ events: ["new.thing"], endpoints: [] }, "create"));
    expect(provisioning).toMatchObject({ code: "topology", retryable: false });
    expect(provisioning.message).toContain(`${bench.namePrefix}new.thing`);
    expect(provisioning.message).toContain("CREATE");

    const [known, unseen] = await port.send(message({ event: "known" }, "x"), message({ event: "unseen" }, "x"));
    expect(known).toMatchObject({
      outcome: "refused",
      error: { code: "refused", retryable: false, message: expect.stringContaining("WRITE") },
    });
    expect(unseen?.outcome).toBe("refused");

    await grant(bench, "known", WRITE);
    await eventually("the right to be known", async () => (await port.send(message({ event: "known" }, "y")))[0]?.outcome === "sent");
  });

  test("settings of topics that may not be looked at do not keep a service from starting", async () => {
    const bench = new Bench([broker.address]);
    const port = await bench.port(secure);
    await grant(bench, "", DESCRIBE, CREATE, WRITE);
    await eventually("the rights to be known", async () => {
      const plan = { events: ["a.thing"], endpoints: [bench.plan("billing", { retryDelaysMs: [1_000] })] };
      return port.transport.provision(plan, "create").then(
        () => true,
        () => false,
      );
    });
    expect((await port.send(message({ event: "a.thing" }, "x"))).map(({ outcome }) => outcome)).toEqual(["sent"]);
    await grant(bench, "", DESCRIBE_CONFIGS);
  });

  test("the rights that the page names are enough to receive, retry, dead-letter and visit; without that to delete it is told which is missing", async () => {
    const bench = new Bench([broker.address]);
    const plan = bench.plan("billing", { subscribed: ["a.thing"], retryDelaysMs: [300] });
    const operator = await bench.port({ partitions: 1 });
    await operator.transport.provision({ events: [], endpoints: [plan] }, "create");
    await grant(bench, "a.thing", READ, WRITE, DESCRIBE);
    for (const name of ["billing.retry.", "billing.dead-letter"]) await grant(bench, name, READ, WRITE, DESCRIBE);
    await grant(bench, "billing", READ, DESCRIBE);
    for (const name of ["billing", "billing.dead-letter"]) await grantOf(GROUP, bench, name, READ);

    const port = await bench.port(secure);
    const receiving = (): Promise<Inbox> =>
      port.receive(plan, 10, "endpoint", (delivery) => {
        if (delivery.headers["tb-attempts"]) void delivery.deadLetter({ "tb-reason": "failed" });
        else void delivery.retry(300, { "tb-attempts": "1" });
      });
    let inbox: Inbox | undefined;
    await eventually("the rights to be known", async () => {
      inbox = await receiving().catch(() => undefined);
      return inbox !== undefined;
    });
    await port.send(message({ event: "a.thing" }, "x"));
    await inbox?.reach(2);
    await eventually("the dead letter", async () => (await bench.stored("billing.dead-letter")).some(({ value }) => value === "x"));
    await inbox?.close();

    const visit = async (): Promise<readonly string[]> => {
      const letters = await port.receive(plan, 10, "dead-letter", (letter) => void letter.complete());
      await eventually("the visit to end", () => letters.isExhausted);
      await letters.close();
      return letters.deliveries.map(({ body }) => Buffer.from(body).toString());
    };
    expect(await visit()).toEqual(["x"]);
    const refusals = (): readonly string[] => port.log.filter((line) => line.startsWith("warn") && line.includes("Grant DELETE"));
    expect(refusals()).toEqual([expect.stringContaining(`"${bench.namePrefix}billing.dead-letter"`)]);

    await grant(bench, "billing.dead-letter", DELETE);
    await eventually("the visited to be deleted", async () => {
      await visit();
      return (await bench.stored("billing.dead-letter")).length === 0;
    });
  });
});
