import type { MessageHandlers, ServiceBusReceiver } from "@azure/service-bus";
import { expect, onTestFinished, test, vi } from "vitest";
import { loadClient } from "../../transports/azure-service-bus/client.js";
import { Bench, eventually, message, textOf } from "./support/bench.js";

const bench = await Bench.start();

const LOOK_EVERY_MS = 20_000;

/** What the watches of this test did. */
interface Seen {
  looks: number;
  /** To `queue` alone. */
  links: number;
  /** Whether the next link to it looks open, and brings nothing: what the real client does without a word. */
  isSilent: boolean;
}

async function watch(queue: string, isSilent: boolean): Promise<Seen> {
  const seen: Seen = { looks: 0, links: 0, isSilent };
  const { ServiceBusClient } = await loadClient();
  const setInterval = globalThis.setInterval;
  vi.spyOn(globalThis, "setInterval").mockImplementation(((run: () => void, ms: number) => {
    if (ms !== LOOK_EVERY_MS) return setInterval(run, ms);
    const look = (): void => {
      seen.looks++;
      run();
    };
    return setInterval(look, 200);
  }) as typeof globalThis.setInterval);
  const create = ServiceBusClient.prototype.createReceiver;
  vi.spyOn(ServiceBusClient.prototype, "createReceiver").mockImplementation(function (
    this: typeof ServiceBusClient.prototype,
    ...given: unknown[]
  ) {
    const receiver = create.apply(this, given as Parameters<typeof create>) as ServiceBusReceiver;
    const { subscribe } = receiver;
    receiver.subscribe = (handlers, options) => {
      if (given[0] !== queue) return subscribe.call(receiver, handlers, options);
      seen.links++;
      if (!seen.isSilent) return subscribe.call(receiver, handlers, options);
      seen.isSilent = false;
      void (handlers as MessageHandlers & { postInitialize(): Promise<void> }).postInitialize();
      return { close: async () => {} };
    };
    return receiver;
  });
  onTestFinished(() => void vi.restoreAllMocks());
  return seen;
}

test.each([
  ["nothing", 0],
  ["one retry", 1],
  ["more retries than one look goes past", 300],
])("a link that has fallen silent is replaced while messages wait, with %s scheduled before them", async (_, count) => {
  const endpoint = bench.endpoint();
  const scheduled = Array.from({ length: count }, (_, n) => ({ body: "later", messageId: `r${n}` }));
  const scheduler = bench.client().createSender(endpoint.name);
  if (count > 0) await scheduler.scheduleMessages(scheduled, new Date(Date.now() + 600_000));
  await watch(endpoint.name, true);
  const port = await bench.port();
  await port.send(message({ endpoint: endpoint.name }, "waits"));
  const inbox = await port.receive(endpoint);
  const [delivery] = await inbox.reach(1);
  delivery?.complete();
  expect(port.statuses.filter(({ status }) => status !== "up")).toEqual([]);
});

test("an instance without work, while another has a message in hand for long, says nothing, and opens one other link for it", async () => {
  const endpoint = bench.endpoint();
  const busy = await bench.port();
  const inbox = await busy.receive(endpoint, 1);
  await busy.send(message({ endpoint: endpoint.name }, "a long handler"));
  await inbox.reach(1);

  const seen = await watch(endpoint.name, false);
  const idle = await bench.port();
  await idle.receive(endpoint);
  await eventually("ten looks", () => seen.looks >= 10);
  expect(seen.links).toBe(2);
  expect(idle.statuses.filter(({ status }) => status !== "up")).toEqual([]);
  expect(idle.log.filter((line) => /^(?:warn|error)/.test(line))).toEqual([]);
  inbox.deliveries[0]?.complete();
});

test("a link that falls silent is replaced also when others hold all that is at the head of the queue", async () => {
  const endpoint = bench.endpoint({}, 60_000);
  const port = await bench.port();
  await port.send(...Array.from({ length: 40 }, (_, n) => message({ endpoint: endpoint.name }, `held ${n}`)));
  const other = bench.client().createReceiver(endpoint.name, { maxAutoLockRenewalDurationInMs: 0 });
  let held = 0;
  while (held < 40) held += (await other.receiveMessages(40 - held)).length;

  const seen = await watch(endpoint.name, false);
  const inbox = await port.receive(endpoint);
  await eventually("its links to be tried", () => seen.links >= 3);
  const { looks } = seen;
  await eventually("more looks", () => seen.looks >= looks + 5);
  expect(seen.links).toBe(3);
  seen.isSilent = true;
  bench.broker.detachLinks();
  await eventually("a silent link", () => !seen.isSilent);
  // The link for sending was detached too.
  await eventually("it to be sent", async () => (await port.send(message({ endpoint: endpoint.name }, "waits")))[0]?.outcome === "sent");
  const [delivery] = await inbox.reach(1);
  expect(delivery && textOf(delivery)).toBe("waits");
  delivery?.complete();
});
