import { onTestFinished } from "vitest";
import type { EndpointPlan } from "../../../src/contracts/transport.js";
import type { KafkaOptions } from "../../../transports/kafka/index.js";
import { type Bench, type Inbox, message, type Port } from "./port.js";

/** One instance of an endpoint, receiving; it leaves when the test ends. */
export interface Instance {
  readonly port: Port;
  readonly inbox: Inbox;
  /** Ends cleanly: commits and leaves the group. */
  leave(): Promise<void>;
}

/** Starts an instance whose deliveries are completed at once, unless `onDelivery` takes them. */
export async function instance(
  bench: Bench,
  plan: EndpointPlan,
  {
    prefetch = 10,
    onDelivery = (delivery) => void delivery.complete(),
    options = {},
  }: { prefetch?: number; onDelivery?: Inbox["onDelivery"]; options?: Partial<KafkaOptions> } = {},
): Promise<Instance> {
  const port = await bench.port(options);
  await port.transport.provision({ events: [], endpoints: [plan] }, "create");
  const inbox = await port.receive(plan, prefetch, "endpoint", onDelivery);
  let left: Promise<void> | undefined;
  const leave = (): Promise<void> => {
    left ??= inbox.close().then(() => port.close());
    return left;
  };
  onTestFinished(leave);
  return { port, inbox, leave };
}

/** Sends so many commands, their number as the body and as the key, so that they are in all partitions. */
export async function sendNumbers(port: Port, endpoint: string, from: number, count: number): Promise<void> {
  const numbered = (number: string) => message({ endpoint }, number, { partitionKey: number });
  await port.send(...Array.from({ length: count }, (_, i) => numbered(String(from + i))));
}

export function textOf({ body }: { readonly body: Uint8Array }): string {
  return Buffer.from(body).toString();
}

export function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i));
}
