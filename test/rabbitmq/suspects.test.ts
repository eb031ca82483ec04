import { expect, test } from "vitest";
import type { Delivery } from "../../src/contracts/transport.js";
import { describeWithRabbitmq } from "../support/brokers.js";
import { eventually } from "./support/eventually.js";
import { Bench, type Inbox, message, type Port, textOf } from "./support/port.js";

async function dieHolding(port: Port, inbox: Inbox, count: number): Promise<readonly Delivery[]> {
  const held = await inbox.reach(count);
  await port.die();
  return held;
}

describeWithRabbitmq("suspects", ({ url }) => {
  test("a message that was held by three processes that died is moved aside unrun, and arrives as careful, alone", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    await (await bench.port()).transport.provision({ events: [], endpoints: [plan] }, "create");
    await (await bench.port()).send(message({ endpoint: "shipping" }, "poison"));
    for (let death = 0; death < 3; death++) {
      const port = await bench.mortalPort();
      const [delivery] = await dieHolding(port, await port.receive(plan), 1);
      expect(delivery?.suspicion).toBe("none");
    }

    const port = await bench.port();
    const inbox = await port.receive(plan);

    const [suspect] = await inbox.reach(1);
    expect(suspect?.suspicion).toBe("careful");
    expect(suspect?.source).toBe(`${bench.namePrefix}shipping.suspect`);
    expect(suspect && textOf(suspect)).toBe("poison");
    suspect?.complete();
    await inbox.close();
    await bench.isEmpty("shipping");
    await bench.isEmpty("shipping.suspect");
  });

  test("a poison among 31 innocent ones ends as crashed, and every innocent one is handled", { timeout: 120_000 }, async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const first = await bench.port();
    await first.transport.provision({ events: [], endpoints: [plan] }, "create");
    const names = Array.from({ length: 32 }, (_, n) => (n === 17 ? "poison" : `innocent ${n}`));
    await first.send(...names.map((name) => message({ endpoint: "shipping" }, name)));

    const handled = new Set<string>();
    let deaths = 0;
    const crashed: Delivery[] = [];
    while (crashed.length === 0) {
      expect(deaths).toBeLessThan(20);
      const port = await bench.mortalPort();
      const inbox = await port.receive(plan, 32);
      let isDead = false;
      // Nobody is done before the poison strikes: the worst case for its neighbours.
      const deadly = new Promise<void>((resolve) => {
        const run = (delivery: Delivery): void => {
          if (delivery.suspicion === "crashed") crashed.push(delivery);
          else if (textOf(delivery) === "poison") {
            isDead = true;
            resolve();
          } else if (delivery.suspicion === "careful" && !isDead) {
            handled.add(textOf(delivery));
            delivery.complete();
          }
        };
        for (const delivery of inbox.deliveries) run(delivery);
        inbox.onDelivery = run;
      });
      await Promise.race([deadly, eventually("the poison to be found out", () => crashed.length > 0, 60_000)]);
      if (crashed.length > 0) {
        await crashed[0]?.deadLetter({ "tb-reason": "crashed" });
        await eventually("the innocent ones to be handled", () => handled.size === 31);
        await inbox.close();
      } else {
        deaths++;
        await port.die();
      }
    }

    // Three deaths until it is suspect, ten of its own.
    expect(deaths).toBe(13);
    expect(crashed.map(textOf)).toEqual(["poison"]);
    expect(handled.size).toBe(31);
    expect(await bench.ready("shipping.dead-letter")).toBe(1);
    expect(await bench.ready("shipping")).toBe(0);
    expect(await bench.ready("shipping.suspect")).toBe(0);
  });

  test("a process holds one suspect at a time, over all its endpoints", { timeout: 60_000 }, async () => {
    const bench = new Bench(url);
    const plans = [bench.plan("shipping"), bench.plan("billing"), bench.plan("returns", { order: "key" })] as const;
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: plans }, "create");
    await port.send(message({ endpoint: "returns" }, "in its place"));
    for (let death = 0; death < 3; death++) {
      const mortal = await bench.mortalPort();
      await dieHolding(mortal, await mortal.receive(plans[2]), 1);
    }
    const channel = await bench.channel();
    for (const name of ["shipping", "billing"])
      channel.sendToQueue(`${bench.namePrefix}${name}.suspect`, Buffer.from(name), { persistent: true });
    await eventually(
      "both to be stored",
      async () => (await bench.ready("shipping.suspect")) + (await bench.ready("billing.suspect")) === 2,
    );

    const inboxes = await Promise.all(plans.map((plan) => port.receive(plan)));

    const arrived = (): Delivery[] => inboxes.flatMap(({ deliveries }) => deliveries);
    for (let count = 1; count <= 3; count++) {
      await eventually("the next suspect", () => arrived().length >= count, 20_000);
      // So long another would have had to arrive, were it fetched.
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(arrived().length).toBe(count);
      for (const delivery of arrived()) if (!settled.has(delivery)) delivery.complete();
      for (const delivery of arrived()) settled.add(delivery);
    }
    expect(arrived().map(({ suspicion }) => suspicion)).toEqual(["careful", "careful", "careful"]);
    await Promise.all(inboxes.map((inbox) => inbox.close()));
  });

  test("losses of the connection that the process lives through make nothing suspect", { timeout: 120_000 }, async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    await port.send(message({ endpoint: "shipping" }, "innocent"), message({ endpoint: "shipping" }, "another"));
    const inbox = await port.receive(plan);

    for (let loss = 1; loss <= 5; loss++) {
      const deliveries = await inbox.reach(2 * loss);
      expect(deliveries.slice(-2).map(({ suspicion }) => suspicion)).toEqual(["none", "none"]);
      await closeChannelOf(inbox);
    }

    const last = (await inbox.reach(12)).slice(-2);
    for (const delivery of last) delivery.complete();
    await inbox.close();
    await bench.isEmpty("shipping");
  });

  test("a message that went back sixty times is handled all the same", { timeout: 120_000 }, async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    await port.send(message({ endpoint: "shipping" }, "innocent"));
    const inbox = await port.receive(plan);
    for (let loss = 1; loss <= 60; loss++) {
      const deliveries = await inbox.reach(loss, 30_000);
      expect(deliveries.at(-1)?.suspicion).toBe("none");
      // RabbitMQ counts it as it counts a lost channel, and nobody has to wait for the next one.
      await deliveries.at(-1)?.release();
    }

    expect((await inbox.reach(61)).at(-1)?.complete()).toBe("settled");
    await inbox.close();
    await bench.isEmpty("shipping");
    expect(await bench.ready("shipping.dead-letter")).toBe(0);
    expect(port.log.join("\n")).toContain("stored anew");
  });

  test("a header that a sender calls x-delivery-count makes nothing suspect", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const channel = await bench.channel();
    channel.sendToQueue(`${bench.namePrefix}shipping`, Buffer.from("x"), { persistent: true, headers: { "x-delivery-count": 1000 } });

    const [delivery] = await (await port.receive(plan)).reach(1);

    expect(delivery?.suspicion).toBe("none");
    delivery?.complete();
  });

  test('with order "key" a poison stays in its place, is found out, and what waits behind it is handled in order', {
    timeout: 120_000,
  }, async () => {
    const bench = new Bench(url);
    const plan = bench.plan("billing", { order: "key" });
    const first = await bench.port();
    await first.transport.provision({ events: [], endpoints: [plan] }, "create");
    const names = ["a", "b", "poison", "c", "d", "e"];
    for (const name of names) await first.send(message({ endpoint: "billing" }, name, { partitionKey: "k" }));

    const handled: string[] = [];
    const verdicts: string[] = [];
    let processes = 0;
    for (; handled.length < 5; processes++) {
      expect(processes).toBeLessThan(20);
      const port = await bench.mortalPort();
      const inbox = await port.receive(plan, 10);
      let isDead = false;
      // One key, so one after the other; each run takes a while, so that all six are held when the poison strikes.
      await eventually("a death or the end", async () => {
        const next = inbox.deliveries.find((delivery) => !settled.has(delivery));
        if (next === undefined || next.isLost) return handled.length === 5;
        if (textOf(next) === "poison" && next.suspicion !== "crashed") isDead = true;
        else if (textOf(next) === "poison") {
          verdicts.push(next.suspicion);
          settled.add(next);
          await next.deadLetter({ "tb-reason": "crashed" });
        } else {
          handled.push(textOf(next));
          settled.add(next);
          next.complete();
        }
        return isDead || handled.length === 5;
      });
      if (isDead) await port.die();
      else await inbox.close();
    }

    expect(handled).toEqual(["a", "b", "c", "d", "e"]);
    expect(verdicts).toEqual(["crashed"]);
    expect(processes).toBe(14);
    expect(await bench.ready("billing.dead-letter")).toBe(1);
    expect(await bench.ready("billing")).toBe(0);
    await bench.isEmpty("billing.suspect.runs");
  });

  test.each(["none", "key"] as const)(
    'with order "%s" losses of the connection that eleven processes live through make no other say that a message crashed',
    { timeout: 120_000 },
    async (order) => {
      const bench = new Bench(url);
      const plan = bench.plan("shipping", { order });
      const first = await bench.port();
      await first.transport.provision({ events: [], endpoints: [plan] }, "create");
      await first.send(message({ endpoint: "shipping" }, "innocent"));
      for (let death = 0; death < 3; death++) {
        const mortal = await bench.mortalPort();
        await dieHolding(mortal, await mortal.receive(plan), 1);
      }
      for (let loss = 1; loss <= 11; loss++) {
        const unlucky = await (await bench.port()).receive(plan);
        const deliveries = await unlucky.reach(1);
        expect(deliveries.at(-1)?.suspicion).toBe("careful");
        await closeChannelOf(unlucky);
        // It lives, and says so.
        await unlucky.close();
        await bench.isEmpty("shipping.suspect.runs");
      }

      const other = await (await bench.port()).receive(plan);

      const [suspect] = await other.reach(1);
      expect(suspect?.suspicion).toBe("careful");
      expect(suspect?.complete()).toBe("settled");
      await bench.isEmpty("shipping.suspect.runs");
      await other.close();
      await bench.isEmpty("shipping");
      await bench.isEmpty("shipping.suspect");
    },
  );

  test('with order "key" a suspect that fails and kills nobody holds up nothing while it waits for its retry', {
    timeout: 60_000,
  }, async () => {
    const bench = new Bench(url);
    const plan = bench.plan("billing", { order: "key" });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    for (const name of ["failing", "behind it"]) await port.send(message({ endpoint: "billing" }, name));
    for (let death = 0; death < 3; death++) {
      const mortal = await bench.mortalPort();
      await dieHolding(mortal, await mortal.receive(plan, 1), 1);
    }
    const inbox = await port.receive(plan);
    const [failing] = await inbox.reach(1);
    expect(failing?.suspicion).toBe("careful");

    failing?.survived?.();

    await inbox.reach(2);
    expect(inbox.texts).toEqual(["failing", "behind it"]);
    expect(inbox.deliveries.map(({ suspicion, isLost }) => ({ suspicion, isLost }))).toEqual([
      { suspicion: "none", isLost: false },
      { suspicion: "none", isLost: false },
    ]);
    await bench.isEmpty("billing.suspect.runs");
    for (const delivery of inbox.deliveries) expect(delivery.complete()).toBe("settled");
    await inbox.close();
    await bench.isEmpty("billing");
  });

  test.each(["none", "key"] as const)(
    'with order "%s" a suspect that was lost with the connection does not hold up the stop of a process that has none',
    async (order) => {
      const bench = new Bench(url);
      const plan = bench.plan("shipping", { order });
      const first = await bench.port();
      await first.transport.provision({ events: [], endpoints: [plan] }, "create");
      await first.send(message({ endpoint: "shipping" }, "innocent"));
      for (let death = 0; death < 3; death++) {
        const mortal = await bench.mortalPort();
        await dieHolding(mortal, await mortal.receive(plan), 1);
      }
      const port = await bench.mortalPort();
      const inbox = await port.receive(plan);
      const [suspect] = await inbox.reach(1);
      await port.goOffline();
      await eventually("the suspect to be lost", () => suspect?.isLost === true);

      const before = performance.now();
      await inbox.close();

      expect(performance.now() - before).toBeLessThan(2_000);
    },
  );

  test("a suspect that is given back by eleven processes that stop is not said to have crashed", { timeout: 60_000 }, async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const first = await bench.port();
    await first.transport.provision({ events: [], endpoints: [plan] }, "create");
    const channel = await bench.channel();
    channel.sendToQueue(`${bench.namePrefix}shipping.suspect`, Buffer.from("slow"), { persistent: true, messageId: "slow" });
    await eventually("it to be stored", async () => (await bench.ready("shipping.suspect")) === 1);

    for (let instance = 1; instance <= 12; instance++) {
      const port = await bench.port();
      const inbox = await port.receive(plan);
      const [suspect] = await inbox.reach(1);
      expect(suspect?.suspicion).toBe("careful");
      await inbox.receiver?.stop();
      if (instance % 2 === 0) await suspect?.release();
      await inbox.close();
      await port.close();
    }
  });

  test("what stands among the suspects of an endpoint that has become ordered is put back, and nothing of it is lost", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { order: "key" });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const channel = await bench.channel();
    for (const text of ["a", "b", "c"])
      channel.sendToQueue(`${bench.namePrefix}shipping.suspect`, Buffer.from(text), { persistent: true, messageId: text });
    await eventually("all to be stored", async () => (await bench.ready("shipping.suspect")) === 3);

    const inbox = await port.receive(plan);

    await inbox.reach(3);
    expect(inbox.texts).toEqual(["a", "b", "c"]);
    expect(inbox.deliveries.map(({ properties }) => properties.messageId)).toEqual(["a", "b", "c"]);
    for (const delivery of inbox.deliveries) delivery.complete();
    await inbox.close();
    expect(await bench.ready("shipping.suspect")).toBe(0);
  });

  test("an endpoint that meets suspects at its start receives everything else after them", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const channel = await bench.channel();
    channel.sendToQueue(`${bench.namePrefix}shipping.suspect`, Buffer.from("suspect"), { persistent: true, messageId: "suspect" });
    await eventually("the suspect to be stored", async () => (await bench.ready("shipping.suspect")) === 1);

    const inbox = await port.receive(plan);
    await port.send(message({ endpoint: "shipping" }, "innocent"));

    (await inbox.reach(1))[0]?.complete();
    await inbox.reach(2);
    expect(inbox.texts).toEqual(["suspect", "innocent"]);
    inbox.deliveries[1]?.complete();
    await inbox.close();
  });

  test("the note of a run whose process never came back expires after a day", { timeout: 60_000 }, async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const first = await bench.port();
    await first.transport.provision({ events: [], endpoints: [plan] }, "create");
    await first.send(message({ endpoint: "shipping" }, "poison"));
    for (let death = 0; death < 4; death++) {
      const mortal = await bench.mortalPort();
      await dieHolding(mortal, await mortal.receive(plan), 1);
    }

    const channel = await bench.channel();
    const note = await channel.get(`${bench.namePrefix}shipping.suspect.runs`, { noAck: true });

    expect(note ? note.properties.expiration : undefined).toBe("86400000");
  });

  test("only notes of runs alone are ever taken out of the queue of the notes", { timeout: 60_000 }, async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { order: "key" });
    const first = await bench.port();
    await first.transport.provision({ events: [], endpoints: [plan] }, "create");
    const channel = await bench.channel();
    channel.sendToQueue(`${bench.namePrefix}shipping.suspect.runs`, Buffer.from('{"id":1}'), { persistent: true });
    await first.send(message({ endpoint: "shipping" }, "innocent"));
    for (let death = 0; death < 3; death++) {
      const mortal = await bench.mortalPort();
      await dieHolding(mortal, await mortal.receive(plan), 1);
    }

    const inbox = await first.receive(plan);
    (await inbox.reach(1))[0]?.complete();
    await inbox.close();

    await eventually("what is no note to be back", async () => (await bench.ready("shipping.suspect.runs")) === 1);
  });
});

const settled = new WeakSet<Delivery>();

/** Makes the broker close the channel that the last delivery came by: a tag of the future is acknowledged on it. */
async function closeChannelOf(inbox: Inbox): Promise<void> {
  const last = inbox.deliveries.at(-1) as unknown as { held: { reject(tag: number): void } };
  last.held.reject(1_000_000);
}
