import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { type Bus, type BusOptions, type ConsumeContext, createBus, NonRetryableError, PublishError, TrolleybusError } from "trolleybus";
import { controlOptions } from "../controls/index.js";
import { AUDIT, Echo, type FaultMessage, ORDERED, Order, Step, Task, WORK } from "../messages.js";
import type { ServiceConfig } from "../protocol.js";
import { storeNamed } from "../stores.js";
import type { Client, Handler, PublishFailure } from "./client.js";

/** Short, so that a run of some minutes sees many rounds: 2 x 3 runs before a message is given up. */
const RETRY = { immediate: 1, immediateDelay: 20, delays: ["1s", "3s"], giveUpOn: [NonRetryableError] } as const;
/** Of all attempts of a message together. */
export const RETRY_DELAYS_MS = 4_000;
/** Short, so that alarms and outages outlast it. */
const PUBLISH_TIMEOUT = "10s";

export async function openPublisher(config: ServiceConfig): Promise<Client> {
  return clientOf(createBus({ ...options(config), service: config.name, publishes: config.workload === "full" ? [Task, Step] : [Task] }));
}

export async function openConsumer(config: ServiceConfig, handler: Handler): Promise<Client> {
  const bus = createBus({ ...options(config), service: WORK });
  const consumer = (endpoint: string) => (message: FaultMessage, context: ConsumeContext) =>
    handler({
      endpoint,
      message,
      key: context.partitionKey,
      attempt: context.attempt,
      publish: (echo) => context.publish(echo),
    });
  bus.subscribe(config.workload === "full" ? [Task, Step, Order] : [Task], consumer(WORK));
  if (config.workload === "full") {
    bus.endpoint(ORDERED, { order: "key" }).subscribe(Step, consumer(ORDERED));
    bus.endpoint(AUDIT).subscribe(Echo, consumer(AUDIT));
  }
  await bus.start();
  return clientOf(bus);
}

export function failureOf(error: unknown): PublishFailure {
  if (error instanceof PublishError) return { outcome: error.outcome, code: error.code };
  if (error instanceof TrolleybusError) throw new Error(`publish rejected with something else than a PublishError`, { cause: error });
  throw error;
}

function clientOf(bus: Bus): Client {
  return {
    publish: (message) => {
      const addressed = { messageId: message.id, ...(message.key === null ? {} : { partitionKey: message.key }) };
      return message instanceof Order ? bus.send(WORK, message, addressed) : bus.publish(message, addressed);
    },
    stop: () => bus.stop({ deadline: "20s" }),
  };
}

function options(config: ServiceConfig): Omit<BusOptions, "service"> {
  return {
    transport: config.transport as BusOptions["transport"],
    store: storeNamed(config.store),
    retry: RETRY,
    publishTimeout: PUBLISH_TIMEOUT,
    concurrency: config.concurrency,
    prefetch: config.prefetch,
    logger: fileLogger(config),
    ...controlOptions(config),
  };
}

/** What the bus says goes to a file beside the ledgers: it explains a run that went wrong. */
function fileLogger(config: ServiceConfig): NonNullable<BusOptions["logger"]> {
  const file = join(config.folder, `${config.name}.log`);
  const write = (level: string) => (text: string, fields?: object) =>
    appendFileSync(file, `${new Date().toISOString()} ${process.pid} ${level} ${text} ${fields ? JSON.stringify(fields) : ""}\n`);
  return { debug: () => {}, info: write("info"), warn: write("warn"), error: write("error") };
}
