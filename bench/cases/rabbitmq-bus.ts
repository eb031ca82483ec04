import { type Bus, createBus } from "trolleybus";
import { atRate, countdown, type Figures, meter, meterAfter, pump, quantile } from "../meter.js";
import { OrderPlaced } from "../payload.js";
import { BACKLOG, LATENCY_RATE, LATENCY_SECONDS, MESSAGES, OUTSTANDING, PREFETCH, url, WARM_UP } from "./rabbitmq-settings.js";

/** `prefix` keeps the queues of one run apart from those of another. */
function makeBus(prefix: string, service: string): Bus {
  return createBus({ service, transport: url, namePrefix: prefix, prefetch: PREFETCH, concurrency: PREFETCH, publishes: [OrderPlaced] });
}

async function withQueue(prefix: string): Promise<void> {
  const bus = makeBus(prefix, "bench");
  bus.endpoint("bench", { concurrency: 1, prefetch: 1 }).subscribe(OrderPlaced, () => undefined);
  await bus.start();
  await bus.stop();
}

export async function rabbitmqBusPublish(prefix: string): Promise<Figures> {
  await withQueue(prefix);
  const bus = makeBus(prefix, "bench");
  await pump(WARM_UP, OUTSTANDING, (i) => bus.publish(new OrderPlaced(i, 0)));
  const measured = meter();
  await pump(MESSAGES, OUTSTANDING, (i) => bus.publish(new OrderPlaced(i, 0)));
  const figures = measured.stop(MESSAGES);
  await bus.stop();
  return figures;
}

export async function rabbitmqBusDrain(prefix: string): Promise<Figures> {
  await withQueue(prefix);
  const filler = makeBus(prefix, "bench");
  await pump(BACKLOG, OUTSTANDING, (i) => filler.publish(new OrderPlaced(i, 0)));
  await filler.stop();
  const bus = makeBus(prefix, "bench");
  const handled = meterAfter(WARM_UP, MESSAGES);
  bus.subscribe(OrderPlaced, () => handled.hit());
  await bus.start();
  const figures = await handled.done;
  await bus.stop();
  return figures;
}

export async function rabbitmqBusEndToEnd(prefix: string): Promise<Figures> {
  const bus = makeBus(prefix, "bench");
  const handled = meterAfter(WARM_UP, MESSAGES);
  bus.subscribe(OrderPlaced, () => handled.hit());
  await bus.start();
  await pump(BACKLOG, OUTSTANDING, (i) => bus.publish(new OrderPlaced(i, 0)));
  const figures = await handled.done;
  await bus.stop();
  return figures;
}

export async function rabbitmqBusLatency(prefix: string): Promise<Figures> {
  const bus = makeBus(prefix, "bench");
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
