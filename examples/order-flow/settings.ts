import type { BusOptions, Duration } from "trolleybus";

/** What every `createBus` of the flow is given beside the name of its service. */
export interface BusSettings extends Pick<BusOptions, "namePrefix"> {
  readonly transport: string;
  readonly retry: { readonly immediate: number; readonly delays: readonly Duration[] };
}

/** What a service needs to know. Plain data, for it travels to the process of the service. */
export interface Settings {
  readonly bus: BusSettings;
  /** Where the neighbours listen; those that a service does not call are never read. */
  readonly urls: { readonly orders: string; readonly carrier: string; readonly mailbox: string };
  /** How the gateway calls Orders. */
  readonly callOrders: { readonly timeoutMs: number; readonly tries: number; readonly pauseMs: number };
  readonly shippingVersion: "1.0" | "1.1";
  /** Rehearsed trouble: Orders is this late with its first answer to this customer. */
  readonly lateAnswer: { readonly customer: string; readonly ms: number };
}

/** The broker is one setting. The delays are short so that the whole flow takes seconds; the defaults are in docs/configuration.md. */
export const busSettings: BusSettings = {
  transport: process.env["BUS_URL"] ?? "memory:order-flow",
  namePrefix: process.env["NAME_PREFIX"] ?? "order-flow.",
  retry: { immediate: 1, delays: ["1s", "2s"] },
};

/** How often a message is tried in all: each delay begins a round, and each round has its immediate retries. */
export const attemptsWith = ({ immediate, delays }: BusSettings["retry"]): number => (1 + immediate) * (1 + delays.length);
