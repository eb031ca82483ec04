import { expect, test } from "vitest";
import type { Delivery } from "../../src/contracts/transport.js";
import { describeWithKafka } from "../support/brokers.js";
import { type Instance, instance, numbers, sendNumbers, textOf } from "./support/endpoint.js";
import { eventually } from "./support/eventually.js";
import { Bench } from "./support/port.js";

interface Committed {
  readonly offset: string;
  readonly metadata: string;
}

async function committed(bench: Bench, group: string): Promise<Committed> {
  const [topic] = await (await bench.admin()).fetchOffsets({ groupId: bench.namePrefix + group, topics: [bench.namePrefix + group] });
  const [partition] = topic?.partitions ?? [];
  return { offset: partition?.offset ?? "-1", metadata: partition?.metadata ?? "" };
}

/**
 * Has the instance gone as if its process had died now: what it committed by now stays, and nothing of what it says on its way out. (It
 * leaves, and what was committed is put back.)
 */
async function die(bench: Bench, group: string, { leave }: Instance): Promise<void> {
  const { offset, metadata } = await committed(bench, group);
  await leave();
  const topic = bench.namePrefix + group;
  const consumer = bench.kafka.consumer({ groupId: topic });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  await consumer.connect();
  await consumer.subscribe({ topic });
  await consumer.run({ autoCommit: false, eachMessage: async () => {} });
  await joined;
  await consumer.commitOffsets([{ topic, partition: 0, offset, metadata }]);
  await consumer.disconnect();
}

const options = { partitions: 1 };

describeWithKafka("suspects", ({ brokers }) => {
  test("a poison among 31 innocent ones ends as crashed, and every innocent one is handled, none of them as crashed", async () => {
    const bench = new Bench(brokers);
    const plan = bench.plan("shipping");
    const handled = new Set<string>();
    const careful: string[] = [];
    let crashed: string | undefined;
    let deaths = 0;
    let hasSent = false;
    while (crashed === undefined) {
      expect(deaths).toBeLessThan(8);
      let isDead = false;
      let held = 0;
      const run = (delivery: Delivery): void => {
        held++;
        if (delivery.suspicion === "careful") {
          careful.push(textOf(delivery));
          expect(held).toBe(1);
        }
        if (delivery.suspicion === "crashed") crashed = textOf(delivery);
        else if (textOf(delivery) === "17") isDead = true;
        // Nobody is done before the poison strikes: the worst case for its neighbours.
        setImmediate(() => {
          if (isDead) return;
          held--;
          handled.add(textOf(delivery));
          delivery.complete();
        });
      };
      const living = await instance(bench, plan, { prefetch: 32, options, onDelivery: run });
      if (!hasSent) await sendNumbers(living.port, "shipping", 0, 32);
      hasSent = true;
      await eventually("it dies, or the poison is known", () => isDead || crashed !== undefined);
      if (isDead) {
        deaths++;
        await die(bench, "shipping", living);
      } else {
        await eventually("all others are handled", () => handled.size === 32);
      }
    }
    expect(crashed).toBe("17");
    expect(deaths).toBe(5);
    expect([...handled].sort((a, b) => Number(a) - Number(b))).toEqual(numbers(32));
    expect(careful.filter((text) => text === "17")).toHaveLength(3);
  }, 120_000);

  test("starts that end cleanly, or in which something was done, make nothing suspect", async () => {
    const bench = new Bench(brokers);
    const plan = bench.plan("shipping");
    const first = await instance(bench, plan, { options, onDelivery: () => {} });
    await sendNumbers(first.port, "shipping", 0, 3);
    await first.inbox.reach(3);
    expect((await committed(bench, "shipping")).metadata).toContain(";s=1");
    await first.leave();
    expect((await committed(bench, "shipping")).metadata).not.toContain(";s=");

    for (let start = 0; start < 4; start++) {
      const again = await instance(bench, plan, { options, onDelivery: () => {} });
      const deliveries = await again.inbox.reach(3);
      expect(deliveries.map(({ suspicion }) => suspicion)).toEqual(["none", "none", "none"]);
      await again.leave();
    }

    for (let death = 0; death < 3; death++) {
      const mortal = await instance(bench, plan, { options, onDelivery: () => {} });
      const [one] = await mortal.inbox.reach(3 - death);
      expect(one?.suspicion).toBe("none");
      one?.complete();
      await eventually("that is committed", async () => (await committed(bench, "shipping")).offset === String(death + 1));
      await die(bench, "shipping", mortal);
    }
  }, 120_000);

  test("another instance that joins meanwhile does not count against what runs alone", async () => {
    const bench = new Bench(brokers);
    const plan = bench.plan("shipping");
    const first = await instance(bench, plan, { options, onDelivery: () => {} });
    await sendNumbers(first.port, "shipping", 0, 2);
    for (let death = 0, mortal = first; death < 2; death++) {
      await mortal.inbox.reach(2);
      await die(bench, "shipping", mortal);
      if (death === 0) mortal = await instance(bench, plan, { options, onDelivery: () => {} });
    }
    const careful = await instance(bench, plan, { options, onDelivery: () => {} });
    const [slow] = await careful.inbox.reach(1);
    expect(slow?.suspicion).toBe("careful");
    for (let i = 0; i < 4; i++) await (await instance(bench, plan, { options, onDelivery: () => {} })).leave();

    await eventually("its one start to be committed", async () => (await committed(bench, "shipping")).metadata.includes(";a=0:1"));
    expect([slow?.isLost, slow?.complete()]).toEqual([false, "settled"]);
    const [, next] = await careful.inbox.reach(2);
    expect(next?.suspicion).toBe("careful");
  }, 120_000);
});
