import { memoryBus, memoryJson } from "./cases/memory.js";
import { rabbitmqBusDrain, rabbitmqBusEndToEnd, rabbitmqBusLatency, rabbitmqBusPublish } from "./cases/rabbitmq-bus.js";
import { rabbitmqRawDrain, rabbitmqRawEndToEnd, rabbitmqRawLatency, rabbitmqRawPublish } from "./cases/rabbitmq-raw.js";
import type { Figures } from "./meter.js";

/** A case runs in a process of its own; `prefix` is its own part of the broker. */
export type Case = (prefix: string) => Promise<Figures>;

/** A figure of the bus over the same figure of the baseline, in one round, and what it should be. */
export interface Goal {
  readonly what: string;
  readonly ratio: (bus: Figures, baseline: Figures) => number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Comparison {
  readonly name: string;
  readonly needs: "nothing" | "rabbitmq";
  readonly baseline: Case;
  readonly bus: Case;
  readonly goals: readonly Goal[];
}

const rate = (bus: Figures, baseline: Figures): number => bus.rate / baseline.rate;
const cpu = (bus: Figures, baseline: Figures): number => bus.cpuMicrosPerMessage / baseline.cpuMicrosPerMessage;
const p50 = (bus: Figures, baseline: Figures): number => (bus.p50Ms ?? 0) / (baseline.p50Ms ?? 0);
const p99 = (bus: Figures, baseline: Figures): number => (bus.p99Ms ?? 0) / (baseline.p99Ms ?? 0);
const micros = (figures: Figures): number => 1e6 / figures.rate;

/** What is compared with what, and the goals of the design's section on speed. */
export const COMPARISONS: readonly Comparison[] = [
  {
    name: "memory, 1000 outstanding, against JSON alone",
    needs: "nothing",
    baseline: memoryJson,
    bus: memoryBus,
    goals: [
      { what: "time / (1.5 x JSON + 3 us)", ratio: (bus, json) => micros(bus) / (1.5 * micros(json) + 3), atMost: 1 },
      { what: "CPU / (1.5 x JSON + 3 us)", ratio: (bus, json) => bus.cpuMicrosPerMessage / (1.5 * json.cpuMicrosPerMessage + 3) },
    ],
  },
  {
    name: "RabbitMQ publish, 1000 outstanding, confirmed",
    needs: "rabbitmq",
    baseline: rabbitmqRawPublish,
    bus: rabbitmqBusPublish,
    goals: [
      { what: "rate", ratio: rate, atLeast: 0.95 },
      { what: "CPU", ratio: cpu, atMost: 1.25 },
    ],
  },
  {
    name: "RabbitMQ drain, prefetch 100",
    needs: "rabbitmq",
    baseline: rabbitmqRawDrain,
    bus: rabbitmqBusDrain,
    goals: [
      { what: "rate", ratio: rate, atLeast: 1.2 },
      { what: "CPU", ratio: cpu, atMost: 1 },
    ],
  },
  {
    name: "RabbitMQ end to end",
    needs: "rabbitmq",
    baseline: rabbitmqRawEndToEnd,
    bus: rabbitmqBusEndToEnd,
    goals: [
      { what: "rate", ratio: rate, atLeast: 1 },
      { what: "CPU", ratio: cpu },
    ],
  },
  {
    name: "RabbitMQ latency at 500 msg/s",
    needs: "rabbitmq",
    baseline: rabbitmqRawLatency,
    bus: rabbitmqBusLatency,
    goals: [
      { what: "p50", ratio: p50, atMost: 1.2 },
      { what: "p99", ratio: p99, atMost: 1.5 },
    ],
  },
];
