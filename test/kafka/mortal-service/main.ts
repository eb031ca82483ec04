import { setTimeout as sleep } from "node:timers/promises";
import { createBus } from "../../../src/index.js";
import { kafka } from "../../../transports/kafka/index.js";
import { type MortalServiceOptions, Placed } from "./options.js";

const { brokers, concurrency, namePrefix, prefetch, slowMs } = JSON.parse(process.argv[2] ?? "") as MortalServiceOptions;

/** Says the number of each message when its handler begins; that of 0 takes long. */
const bus = createBus({ service: "shipping", transport: kafka({ brokers, partitions: 1 }), namePrefix, retry: false });
bus.endpoint("shipping", { concurrency, prefetch }).subscribe(Placed, async ({ n }) => {
  process.send?.(n);
  if (n === 0) await sleep(slowMs);
});
await bus.start();
process.send?.("started");
