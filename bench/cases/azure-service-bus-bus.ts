import { type Bus, createBus } from "trolleybus";
import { type Figures, meter, meterAfter, pump } from "../meter.js";
import { OrderPlaced } from "../payload.js";
import {
  adminPort,
  BACKLOG,
  connectionString,
  MESSAGES,
  OUTSTANDING,
  PREFETCH,
  PUBLISH_WARM_UP,
  WARM_UP,
} from "./azure-service-bus-settings.js";

function makeBus(prefix: string, service: string): Bus {
  const transport = { type: "azure-service-bus", connectionString, adminPort } as const;
  return createBus({ service, transport, namePrefix: prefix, prefetch: PREFETCH, concurrency: PREFETCH });
}

/** The endpoint's queue is there, and nobody receives from it. */
async function withQueue(prefix: string): Promise<Bus> {
  const bus = makeBus(prefix, "bench");
  bus.endpoint("bench", { concurrency: 1, prefetch: 1 }).subscribe(OrderPlaced, () => undefined);
  await bus.start();
  await bus.stop();
  return makeBus(prefix, "filler");
}

export async function serviceBusPublish(prefix: string): Promise<Figures> {
  const bus = await withQueue(prefix);
  await pump(PUBLISH_WARM_UP, OUTSTANDING, (i) => bus.send("bench", new OrderPlaced(i, 0)));
  const measured = meter();
  await pump(MESSAGES, OUTSTANDING, (i) => bus.send("bench", new OrderPlaced(i, 0)));
  const figures = measured.stop(MESSAGES);
  await bus.stop();
  return figures;
}

export async function serviceBusDrain(prefix: string): Promise<Figures> {
  const filler = await withQueue(prefix);
  await pump(BACKLOG, OUTSTANDING, (i) => filler.send("bench", new OrderPlaced(i, 0)));
  await filler.stop();
  const bus = makeBus(prefix, "bench");
  const handled = meterAfter(WARM_UP, MESSAGES);
  bus.subscribe(OrderPlaced, () => handled.hit());
  await bus.start();
  const figures = await handled.done;
  await bus.stop();
  return figures;
}
