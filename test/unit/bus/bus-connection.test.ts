import { expect, test } from "vitest";
import { BusConnection } from "../../../src/bus/bus-connection.js";
import type { OutgoingMessage, TransportHost } from "../../../src/contracts/transport.js";
import { resolveBusSettings } from "../../../src/options/bus-settings.js";
import { ScriptedTransport, transportError } from "../../support/scripted-transport.js";
import { settled, until } from "../../support/until.js";

function connection(options: { topology?: "create" | "verify" | "none"; transport?: ScriptedTransport } = {}) {
  const { transport = new ScriptedTransport(), topology = "create" } = options;
  const settings = resolveBusSettings({ service: "shop", transport, topology });
  return { transport, made: new BusConnection(settings, {} as TransportHost) };
}
const outgoing = (to: OutgoingMessage["to"]): OutgoingMessage => ({ to }) as OutgoingMessage;
const event = (type: string): OutgoingMessage => outgoing({ event: type });
const never = new AbortController().signal;

test("it is opened once, however many ask", async () => {
  const { made, transport } = connection();
  expect(made.transport).toBeUndefined();
  expect(await Promise.all([made.open(), made.open()])).toEqual([transport, transport]);
  expect(made.transport).toBe(transport);
  expect(transport.log).toEqual(["open"]);
});

test("after a failure it is opened anew by the next who asks", async () => {
  const { made, transport } = connection();
  transport.onOpen = () => {
    transport.onOpen = () => {};
    throw transportError();
  };
  await expect(made.open()).rejects.toMatchObject({ code: "unavailable" });
  expect(await made.open()).toBe(transport);
});

test("the topology of a type is made before its first message, once; of what the plan had it is there already", async () => {
  const { made, transport } = connection();
  await made.provision({ events: ["a"], endpoints: [] });
  expect(made.prepare(event("a"))).toBeUndefined();
  const [first, second] = [made.prepare(event("b")), made.prepare(event("b"))];
  expect(first).toBeInstanceOf(Promise);
  expect(second).toBe(first);
  await first;
  await settled(1);
  expect(made.prepare(event("b"))).toBeUndefined();
  expect(made.prepare(outgoing({ endpoint: "audit" }))).toBeUndefined();
  expect(transport.plans.map(({ events }) => events)).toEqual([["a"], ["b"]]);
});

test.each(["create", "verify", "none"] as const)('with topology: "%s" the road is clear after the first message', async (topology) => {
  const { made, transport } = connection({ topology });
  await made.prepare(event("a"));
  await settled(1);
  expect(made.prepare(event("a"))).toBeUndefined();
  expect(transport.plans).toHaveLength(topology === "none" ? 0 : 1);
});

test("nothing is sent through a connection that is not open", () => {
  expect(() => connection().made.send([], never)).toThrow("not open");
});

test("after the close it is not opened any more", async () => {
  const { made, transport } = connection();
  await made.open();
  await made.close(0);
  await expect(made.open()).rejects.toMatchObject({ code: "stopped" });
  expect(transport.log).toEqual(["open", "close"]);
});

test("what was being opened when it closed is closed too, and told to stop trying", async () => {
  const { made, transport } = connection();
  let signal: AbortSignal | undefined;
  transport.onOpen = (given) => {
    signal = given;
    return new Promise((_, reject) => given.addEventListener("abort", () => reject(new Error("gave up"))));
  };
  const opening = made.open().catch((error: unknown) => error);
  await until("it is opening", () => signal !== undefined);
  await made.close(0);
  expect(await opening).toMatchObject({ code: "stopped", cause: new Error("gave up") });
  expect(transport.log).toEqual(["open", "close"]);
});

test("a close while the adapter is still loaded opens nothing", async () => {
  const transport = new ScriptedTransport();
  const { made } = connection({ transport });
  const opening = made.open().catch((error: unknown) => error);
  await made.close(0);
  expect(await opening).toMatchObject({ code: "stopped" });
  expect(transport.log).toEqual([]);
});
