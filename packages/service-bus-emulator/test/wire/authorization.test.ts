import { expect, test } from "vitest";
import { AMQP_HEADER, SASL_HEADER } from "../../src/amqp/frames.js";
import { int, integerOf, isDescribed, isList, map, mapGet, stringMap, textOf, typeOf } from "../../src/amqp/values.js";
import { createSharedAccessSignature } from "../../src/authorization/shared-access-signature.js";
import { SharedKeyAuthorizer } from "../../src/authorization/shared-key-authorizer.js";
import { ServiceBusNamespace } from "../../src/broker/service-bus-namespace.js";
import { BrokerServer } from "../support/broker-server.js";
import { Requests } from "../support/management.js";
import { RawClient } from "../support/raw-client.js";

const KEYS = [
  { keyName: "all", key: "a-key" },
  { keyName: "listen", key: "l-key", rights: ["Listen" as const] },
];

async function start(): Promise<BrokerServer> {
  const namespace = new ServiceBusNamespace();
  namespace.createQueue("q");
  namespace.createQueue("other");
  return await BrokerServer.start({ namespace, authorizer: new SharedKeyAuthorizer(namespace, KEYS) });
}

async function conditionOfDetach(client: RawClient): Promise<string | undefined> {
  const { error } = (await client.next("detach")).performative;
  return isDescribed(error) && isList(error.value) ? textOf(error.value[0]) : undefined;
}

/** As the SDKs do it; Python's calls a shared access signature "jwt". */
const putToken = (
  cbs: Requests,
  audience: string,
  keyName: string,
  key: string,
  type = "servicebus.windows.net:sastoken",
): ReturnType<Requests["ask"]> => cbs.ask("put-token", createSharedAccessSignature(audience, keyName, key), { name: audience, type });

test("a token opens what it is for and nothing else", async () => {
  await using broker = await start();
  const client = await RawClient.open(broker.port);
  await client.attachReceiver(0, "q");
  expect(await conditionOfDetach(client)).toBe("amqp:unauthorized-access");
  const cbs = await Requests.open(client, "$cbs", 10);
  const answer = await putToken(cbs, "sb://localhost/q", "all", "a-key", "jwt");
  expect(answer.status).toBe(202);
  expect((await client.attachReceiver(1, "q")).performative.source).toBeDefined();
  expect((await client.attachSender(2, "Q")).performative.target).toBeDefined();
  expect((await client.attachReceiver(3, "q/$DeadLetterQueue")).performative.source).toBeDefined();
  await client.attachReceiver(4, "other");
  expect(await conditionOfDetach(client)).toBe("amqp:unauthorized-access");
  client.destroy();
});

test("a key that may only listen cannot send", async () => {
  await using broker = await start();
  const client = await RawClient.open(broker.port);
  const cbs = await Requests.open(client, "$cbs", 10);
  expect((await putToken(cbs, "amqp://localhost:5672/q", "listen", "l-key")).status).toBe(202);
  expect((await client.attachReceiver(1, "q")).performative.source).toBeDefined();
  await client.attachSender(2, "q");
  expect(await conditionOfDetach(client)).toBe("amqp:unauthorized-access");
  client.destroy();
});

test("to schedule takes the right to send, to look at messages the right to listen", async () => {
  await using broker = await start();
  const client = await RawClient.open(broker.port);
  const cbs = await Requests.open(client, "$cbs", 10);
  await putToken(cbs, "sb://localhost/q", "listen", "l-key");
  const requests = await Requests.open(client, "q/$management", 20);
  const peek = stringMap({ "from-sequence-number": { type: "long", value: 0n }, "message-count": int(1) });
  expect((await requests.ask("com.microsoft:peek-message", peek)).status).toBe(204);
  expect(await requests.ask("com.microsoft:schedule-message", stringMap({ messages: [] }))).toMatchObject({ status: 401 });
  client.destroy();
});

test("a wrong key is 401 and a missing entity 404, in both spellings of the names, with the id of the question", async () => {
  await using broker = await start();
  const client = await RawClient.open(broker.port);
  const cbs = await Requests.open(client, "$cbs", 10);
  const wrong = await putToken(cbs, "sb://localhost/q", "all", "another-key");
  expect(wrong).toMatchObject({ status: 401, condition: "amqp:unauthorized-access", correlationId: { type: "ulong", value: 0n } });
  for (const name of ["statusCode", "status-code"]) expect(mapGet(wrong.applicationProperties, name)).toEqual(int(401));
  for (const name of ["statusDescription", "status-description"])
    expect(typeOf(mapGet(wrong.applicationProperties, name) ?? null)).toBe("string");
  for (const name of ["errorCondition", "error-condition"])
    expect(typeOf(mapGet(wrong.applicationProperties, name) ?? null)).toBe("symbol");
  expect(await putToken(cbs, "sb://localhost/missing", "all", "a-key")).toMatchObject({ status: 404, condition: "amqp:not-found" });
  expect(await cbs.ask("take-token", "x")).toMatchObject({ status: 501, condition: "amqp:not-implemented" });
  expect(await cbs.ask("put-token", map([]))).toMatchObject({ status: 400 });
  client.destroy();
});

test("a key as user name and password opens the namespace, as other AMQP clients do it; a wrong one does not", async () => {
  await using broker = await start();
  for (const [key, code] of [
    ["a-key", 0n],
    ["wrong", 1n],
  ] as const) {
    const client = await RawClient.connect(broker.port);
    client.write(SASL_HEADER);
    await client.header();
    client.send(0, { kind: "sasl-init", mechanism: "PLAIN", initialResponse: Buffer.from(`\0all\0${key}`) });
    expect(integerOf((await client.next("sasl-outcome")).performative.code)).toBe(code);
    if (code === 0n) {
      client.write(AMQP_HEADER);
      await client.header();
      client.send(0, { kind: "open", containerId: "plain" });
      await client.next("open");
      await client.begin(0);
      expect((await client.attachReceiver(0, "q")).performative.source).toBeDefined();
    }
    client.destroy();
  }
});

test("requests that nobody knows, or that are malformed, are answered as such", async () => {
  await using broker = await start();
  const client = await RawClient.open(broker.port);
  const cbs = await Requests.open(client, "$cbs", 10);
  await putToken(cbs, "sb://localhost/", "all", "a-key");
  const requests = await Requests.open(client, "q/$management", 20);
  expect(await requests.ask("com.microsoft:unheard-of", map([]))).toMatchObject({ status: 501, condition: "amqp:not-implemented" });
  expect(await requests.ask("toString", map([]))).toMatchObject({ status: 501 });
  expect(await requests.ask("com.microsoft:renew-lock", null)).toMatchObject({ status: 400 });
  expect(await requests.ask("com.microsoft:renew-lock", stringMap({ "lock-tokens": "x" }))).toMatchObject({ status: 400 });
  expect(await requests.ask("com.microsoft:add-rule", stringMap({ "rule-name": "r" }))).toMatchObject({
    status: 400,
    condition: "amqp:not-allowed",
  });
  expect(await requests.ask("com.microsoft:update-disposition", stringMap({ "disposition-status": "eaten" }))).toMatchObject({
    status: 400,
  });
  await client.attachSender(1, "missing/$management");
  expect(await conditionOfDetach(client)).toBe("amqp:not-found");
  client.destroy();
});
