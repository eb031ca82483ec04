import { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import type { MessageHandlers, ServiceBusReceivedMessage } from "@azure/service-bus";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Delivery, EndpointPlan } from "../../src/contracts/transport.js";
import { loadClient } from "../../transports/azure-service-bus/client.js";
import type { ServiceBusDelivery } from "../../transports/azure-service-bus/delivery.js";
import { DirectLink } from "../../transports/azure-service-bus/direct-link.js";
import type { AzureServiceBusOptions } from "../../transports/azure-service-bus/index.js";
import { Bench, eventually, FAILURE, type Inbox, message, type Port, textOf } from "./support/bench.js";

const bench = await Bench.start();
const { broker } = bench;

/** What went through the client. */
interface Seen {
  handedOver: number;
  completed: number;
}

/** @param alter what another client would make of a message */
async function watchClient(alter: (message: ServiceBusReceivedMessage) => void = () => {}): Promise<Seen> {
  const { ServiceBusClient } = await loadClient();
  const seen: Seen = { handedOver: 0, completed: 0 };
  const create = ServiceBusClient.prototype.createReceiver;
  const spy = vi.spyOn(ServiceBusClient.prototype, "createReceiver").mockImplementation(function (
    this: typeof ServiceBusClient.prototype,
    ...given
  ) {
    const receiver = create.apply(this, given);
    const { subscribe, completeMessage } = receiver;
    receiver.subscribe = (handlers: MessageHandlers, options) => {
      const processMessage = (each: ServiceBusReceivedMessage): Promise<void> => {
        seen.handedOver++;
        alter(each);
        return handlers.processMessage(each);
      };
      return subscribe.call(receiver, { ...handlers, processMessage }, options);
    };
    receiver.completeMessage = (each) => {
      seen.completed++;
      return completeMessage.call(receiver, each);
    };
    return receiver;
  });
  onTestFinished(() => spy.mockRestore());
  return seen;
}

const isEmpty = ({ name }: EndpointPlan): boolean => broker.namespace.findQueue(name)?.peek(0n, 1).length === 0;

/** An endpoint whose link is used beneath the client: two messages have come, and are completed. */
async function proven(
  prefetch = 20,
  options: Partial<AzureServiceBusOptions> = {},
): Promise<{ port: Port; endpoint: EndpointPlan; inbox: Inbox }> {
  const port = await bench.port(options);
  const endpoint = bench.endpoint();
  const inbox = await port.receive(endpoint, prefetch);
  for (let i = 1; i <= 2; i++) {
    await port.send(message({ endpoint: endpoint.name }, `proof ${i}`));
    const delivery = (await inbox.reach(i)).at(-1);
    expect(delivery?.complete()).toBe("settled");
    await eventually("its completion", () => isEmpty(endpoint));
  }
  return { port, endpoint, inbox };
}

/** @returns what has come of them, in the order of arrival */
async function sendAndReceive(port: Port, endpoint: EndpointPlan, inbox: Inbox, count: number): Promise<readonly Delivery[]> {
  const before = inbox.deliveries.length;
  await port.send(...Array.from({ length: count }, (_, n) => message({ endpoint: endpoint.name }, `n${n}`)));
  return (await inbox.reach(before + count)).slice(before);
}

describe("a link that was seen to do the same", () => {
  test("brings messages and completes them without the client, from the third message on", async () => {
    const seen = await watchClient();
    const { port, endpoint, inbox } = await proven();
    expect(seen).toEqual({ handedOver: 2, completed: 1 });
    const held = await sendAndReceive(port, endpoint, inbox, 20);
    for (const delivery of held) expect(delivery.complete()).toBe("settled");
    await eventually("their completion", () => isEmpty(endpoint));
    expect(seen).toEqual({ handedOver: 2, completed: 1 });
    expect(held.map(({ isLost }) => isLost)).toEqual(held.map(() => false));
  });

  test("brings the same messages as the client: whatever it may be, it can be retried, dead-lettered and released", async () => {
    const { port, endpoint, inbox } = await proven();
    const [retried, lettered, released] = await sendAndReceive(port, endpoint, inbox, 3);
    expect(await retried?.retry(200, FAILURE)).toBe("settled");
    expect(await lettered?.deadLetter(FAILURE)).toBe("settled");
    expect(await released?.release()).toBe("settled");
    const again = (await inbox.reach(7)).slice(5);
    expect(again.map(textOf).sort()).toEqual(["n0", "n2"]);
    for (const delivery of again) {
      expect(delivery.properties).toMatchObject({ messageType: "tests.text", contentType: "text/plain" });
      delivery.complete();
    }
    await eventually("their completion", () => isEmpty(endpoint));
    expect((await port.letters(endpoint)).map(textOf)).toEqual(["n1"]);
  });

  test("gives no outcome to a delivery but its own, though others are settled in the same turn", async () => {
    const { port, endpoint, inbox } = await proven();
    const held = await sendAndReceive(port, endpoint, inbox, 12);
    const answers = held.map((delivery, n) => (n % 3 === 0 ? delivery.complete() : delivery.deadLetter(FAILURE)));
    expect(await Promise.all(answers)).toEqual(held.map(() => "settled"));
    const letters = await port.letters(endpoint);
    expect(letters.map(textOf)).toEqual(held.map(textOf).filter((_, n) => n % 3 !== 0));
    await eventually("their completion", () => isEmpty(endpoint));
  });

  test("loses a message whose completion the broker refuses, and it comes again without suspicion", async () => {
    const seen = await watchClient();
    const { port, endpoint, inbox } = await proven();
    await sendAndReceive(port, endpoint, inbox, 1);
    for (let times = 3; times <= 6; times++) {
      const delivery = (await inbox.reach(times)).at(-1);
      expect(delivery?.suspicion).toBe("none");
      broker.namespace.expireLocks();
      expect(delivery?.complete()).toBe("settled");
      await eventually("the loss", () => delivery?.isLost === true);
    }
    expect((await inbox.reach(7)).at(-1)?.complete()).toBe("settled");
    await eventually("its completion", () => isEmpty(endpoint));
    expect(seen.completed).toBe(1);
  });

  test("leaves a completion that is not answered to the client, which tells it again", async () => {
    const seen = await watchClient();
    const { port, endpoint, inbox } = await proven(20, { operationTimeout: "1s" });
    const [delivery, other] = await sendAndReceive(port, endpoint, inbox, 2);
    const native = (delivery as ServiceBusDelivery).message as unknown as { delivery: { accept(): void } };
    const { accept } = native.delivery;
    native.delivery.accept = () => {
      native.delivery.accept = accept;
    };
    delivery?.complete();
    await eventually("the second try", () => isEmpty(endpoint) === false && seen.completed === 2);
    other?.complete();
    await eventually("both completions", () => isEmpty(endpoint));
    expect([delivery?.isLost, other?.isLost]).toEqual([false, false]);
  });

  test.each([
    ["links are detached", () => broker.detachLinks()],
    ["connections are dropped", () => broker.dropConnections()],
  ])("settles what is in flight once, though its %s", async (_, fault) => {
    const { port, endpoint, inbox } = await proven();
    const held = await sendAndReceive(port, endpoint, inbox, 10);
    fault();
    for (const delivery of held) expect(delivery.complete()).toBe("settled");
    await eventually("their completion", () => isEmpty(endpoint), 40_000);
    const send = async (): Promise<boolean> => (await port.send(message({ endpoint: endpoint.name }, "afterwards")))[0]?.outcome === "sent";
    await eventually("publishing to go on", send);
    await eventually("what came afterwards", () => inbox.texts.includes("afterwards"));
    expect(inbox.texts.filter((text) => /^n\d/.test(text))).toHaveLength(10);
  });

  test("gives room for one more with each that is settled, and for no more than the prefetch", async () => {
    const { port, endpoint, inbox } = await proven(3);
    const before = inbox.deliveries.length;
    await port.send(...Array.from({ length: 60 }, (_, n) => message({ endpoint: endpoint.name }, `n${n}`)));
    let settled = 0;
    while (settled < 60) {
      await inbox.reach(before + Math.min(60, settled + 3));
      expect(inbox.deliveries.length - before - settled).toBeLessThanOrEqual(3);
      inbox.deliveries[before + settled++]?.complete();
    }
    await eventually("their completion", () => isEmpty(endpoint));
    expect(inbox.deliveries).toHaveLength(before + 60);
  });
});

describe("a link that does otherwise", () => {
  test("of a client that makes other messages brings them by the client", async () => {
    const seen = await watchClient((each) => Object.assign(each, { priority: 4 }));
    const { port, endpoint, inbox } = await proven();
    for (const delivery of await sendAndReceive(port, endpoint, inbox, 10)) delivery.complete();
    await eventually("their completion", () => isEmpty(endpoint));
    expect(seen.handedOver).toBe(12);
  });

  test("of a client that is traced brings and completes them by the client, whose spans stay whole", async () => {
    const require = createRequire(import.meta.resolve("@azure/service-bus"));
    const { useInstrumenter } = require("@azure/core-tracing") as { useInstrumenter(instrumenter: object | undefined): void };
    const names: string[] = [];
    const span = { isRecording: () => false, end: () => {}, setStatus: () => {}, setAttribute: () => {} };
    const context = { getValue: () => undefined, setValue: () => context, deleteValue: () => context };
    useInstrumenter({
      startSpan: (name: string) => {
        names.push(name);
        return { span, tracingContext: context };
      },
      withContext: (_context: object, callback: (...given: unknown[]) => unknown, ...given: unknown[]) => callback(...given),
      parseTraceparentHeader: () => context,
      createRequestHeaders: () => ({}),
    });
    onTestFinished(() => useInstrumenter(undefined));
    const { port, endpoint, inbox } = await proven();
    for (const delivery of await sendAndReceive(port, endpoint, inbox, 10)) delivery.complete();
    await eventually("their completion", () => isEmpty(endpoint));
    expect(names.filter((name) => name === "StreamReceiver.process")).toHaveLength(12);
    expect(names.filter((name) => name === "ServicebusReceiver.complete")).toHaveLength(12);
  });

  test("of a client with other insides is none", () => {
    for (const insides of [{}, { delivery: undefined }, { delivery: {} }, { delivery: { link: new EventEmitter(), accept: () => {} } }])
      expect(DirectLink.beneath(insides as unknown as ServiceBusReceivedMessage, () => {})).toBeUndefined();
  });

  test("leaves a message to the client that cannot be made here", () => {
    class Message {
      constructor(
        readonly native: { readonly isBroken?: true },
        readonly delivery: { readonly link: EventEmitter },
      ) {
        if (native.isBroken) throw new Error("no such message");
      }
    }
    const link = Object.assign(new EventEmitter(), { is_open: () => true, add_credit: () => {} });
    const delivery = { link, accept: () => {} };
    const received = (given: object): ServiceBusReceivedMessage => given as ServiceBusReceivedMessage;
    const byClient: object[] = [];
    const direct: object[] = [];
    link.on("message", (context: { message: object; delivery: { link: EventEmitter } }) => {
      byClient.push(context.message);
      if (byClient.length === 1) beneath?.handedOver(received(new Message(context.message, context.delivery)));
    });
    const beneath = DirectLink.beneath(received(new Message({}, delivery)), (each) => direct.push((each as unknown as Message).native));
    const messages = [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4, isBroken: true }, { n: 5 }];
    for (const each of messages) link.emit("message", { message: each, delivery });
    expect([byClient, direct]).toEqual([
      [messages[0], messages[3]],
      [messages[1], messages[2], messages[4]],
    ]);
  });
});
