import { setTimeout as sleep } from "node:timers/promises";
import { type Bus, createBus, type TransportConfig } from "trolleybus";
import { atRate, countdown, type Figures, meter, meterAfter, pump, quantile } from "../meter.js";
import { OrderPlaced } from "../payload.js";
import {
  BACKLOG,
  brokers,
  CONCURRENCY,
  HANDLER_MS,
  IDLE_SECONDS,
  KEYED_MESSAGES,
  KEYS,
  LATENCY_RATE,
  LATENCY_SECONDS,
  MESSAGES,
  OUTSTANDING,
  PARTITIONS,
  PREFETCH,
  STOPS,
  WAITING,
  WAITING_SECONDS,
  WARM_UP,
} from "./kafka-settings.js";

function transport(): TransportConfig {
  return { type: "kafka", brokers, partitions: PARTITIONS };
}

/** `prefix` keeps the topics of one run apart from those of another. */
function makeBus(prefix: string): Bus {
  const size = { prefetch: PREFETCH, concurrency: CONCURRENCY };
  return createBus({ service: "bench", transport: transport(), namePrefix: prefix, ...size, publishes: [OrderPlaced] });
}

/** The endpoint exists: from here on what is published waits for it. */
async function withGroup(prefix: string): Promise<void> {
  const bus = makeBus(prefix);
  bus.subscribe(OrderPlaced, () => undefined);
  await bus.start();
  await bus.stop();
}

async function fill(prefix: string, count: number, keyed = false): Promise<void> {
  const bus = makeBus(prefix);
  const options = (i: number): object => (keyed ? { partitionKey: `key-${i % KEYS}` } : {});
  await pump(count, OUTSTANDING, (i) => bus.publish(new OrderPlaced(i, 0), options(i)));
  await bus.stop();
}

export async function kafkaBusPublish(prefix: string): Promise<Figures> {
  const bus = makeBus(prefix);
  await pump(WARM_UP, OUTSTANDING, (i) => bus.publish(new OrderPlaced(i, 0)));
  const measured = meter();
  await pump(MESSAGES, OUTSTANDING, (i) => bus.publish(new OrderPlaced(i, 0)));
  const figures = measured.stop(MESSAGES);
  await bus.stop();
  return figures;
}

export async function kafkaBusDrain(prefix: string): Promise<Figures> {
  await withGroup(prefix);
  await fill(prefix, BACKLOG);
  const bus = makeBus(prefix);
  const handled = meterAfter(WARM_UP, MESSAGES);
  bus.subscribe(OrderPlaced, () => handled.hit());
  await bus.start();
  const figures = await handled.done;
  await bus.stop();
  return figures;
}

export async function kafkaBusKeys(prefix: string): Promise<Figures> {
  await withGroup(prefix);
  await fill(prefix, WARM_UP + KEYED_MESSAGES, true);
  // The raw client keeps the order of each partition; this the order of each key.
  const bus = makeBus(prefix);
  const handled = meterAfter(WARM_UP, KEYED_MESSAGES);
  bus.endpoint("bench", { order: "key" }).subscribe(OrderPlaced, async () => {
    await sleep(HANDLER_MS);
    handled.hit();
  });
  await bus.start();
  const figures = await handled.done;
  await bus.stop();
  return figures;
}

export async function kafkaBusLatency(prefix: string): Promise<Figures> {
  const bus = makeBus(prefix);
  const handled = countdown(LATENCY_RATE * LATENCY_SECONDS);
  const took: number[] = [];
  bus.subscribe(OrderPlaced, (message) => {
    took.push(performance.now() - message.sentAtMs);
    handled.hit();
  });
  await bus.start();
  const measured = meter();
  const sent = await atRate(LATENCY_RATE, LATENCY_SECONDS, () => void bus.publish(new OrderPlaced(0, performance.now())));
  await handled.done;
  const figures = { ...measured.stop(sent), p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
  await bus.stop();
  return figures;
}

/** What `kafkaBusWaiting` finds; in a process of its own, since what publishes needs memory too. */
export async function kafkaBusFill(prefix: string): Promise<Figures> {
  await withGroup(prefix);
  const measured = meter();
  await fill(prefix, WAITING);
  return measured.stop(WAITING);
}

/** Slow handlers for some time, with the default options: how much memory it takes does not depend on how much waits. */
export async function kafkaBusWaiting(prefix: string): Promise<Figures> {
  const bus = createBus({ service: "bench", transport: transport(), namePrefix: prefix });
  let handled = 0;
  bus.subscribe(OrderPlaced, async () => {
    await sleep(HANDLER_MS);
    handled++;
  });
  await bus.start();
  const measured = meter();
  await sleep(WAITING_SECONDS * 1_000);
  const figures = measured.stop(Math.max(1, handled));
  await bus.stop({ deadline: "5s" });
  return figures;
}

/** An idle consumer: what it costs, and how long it takes to stop. */
export async function kafkaBusIdle(prefix: string): Promise<Figures> {
  const stops: number[] = [];
  let figures: Figures | undefined;
  for (let stop = 0; stop < STOPS; stop++) {
    const bus = makeBus(prefix);
    bus.subscribe(OrderPlaced, () => undefined);
    await bus.start();
    await sleep(1_000);
    const measured = meter();
    if (stop === 0) await sleep(IDLE_SECONDS * 1_000);
    figures ??= measured.stop(IDLE_SECONDS);
    const before = performance.now();
    await bus.stop();
    stops.push(performance.now() - before);
  }
  if (!figures) throw new Error("nothing was measured");
  return { ...figures, stopMs: quantile(stops, 1), cpuPercent: figures.cpuMicrosPerMessage / 10_000 };
}
