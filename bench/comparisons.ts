import { serviceBusDrain, serviceBusPublish } from "./cases/azure-service-bus-bus.js";
import { serviceBusRawDrain, serviceBusRawPublish } from "./cases/azure-service-bus-raw.js";
import {
  kafkaBusDrain,
  kafkaBusFill,
  kafkaBusIdle,
  kafkaBusKeys,
  kafkaBusLatency,
  kafkaBusPublish,
  kafkaBusWaiting,
} from "./cases/kafka-bus.js";
import {
  kafkaRawDrain,
  kafkaRawIdle,
  kafkaRawKeys,
  kafkaRawLatency,
  kafkaRawPublishArrays,
  kafkaRawPublishEach,
} from "./cases/kafka-raw.js";
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
  /** Of what is no ratio. @default "x" */
  readonly unit?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Comparison {
  readonly name: string;
  readonly needs: "nothing" | "rabbitmq" | "kafka" | "service-bus";
  readonly baseline: Case;
  /** Runs between the two, for what the second finds. */
  readonly between?: Case;
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
  {
    name: "Kafka publish, 1000 outstanding, against a request a message",
    needs: "kafka",
    baseline: kafkaRawPublishEach,
    bus: kafkaBusPublish,
    goals: [
      { what: "rate", ratio: rate, atLeast: 8 },
      { what: "CPU", ratio: cpu },
    ],
  },
  {
    name: "Kafka publish, 1000 outstanding, against arrays made by hand",
    needs: "kafka",
    baseline: kafkaRawPublishArrays,
    bus: kafkaBusPublish,
    goals: [
      { what: "rate", ratio: rate, atLeast: 0.95 },
      { what: "CPU", ratio: cpu },
    ],
  },
  {
    name: "Kafka drain, against eachBatch on all partitions",
    needs: "kafka",
    baseline: kafkaRawDrain,
    bus: kafkaBusDrain,
    goals: [
      { what: "rate", ratio: rate, atLeast: 0.7 },
      { what: "CPU", ratio: cpu, atMost: 1.4 },
    ],
  },
  {
    name: "Kafka handlers of 5 ms, 100 keys, against eachMessage on all partitions",
    needs: "kafka",
    baseline: kafkaRawKeys,
    bus: kafkaBusKeys,
    goals: [{ what: "rate", ratio: rate, atLeast: 10 }],
  },
  {
    name: "Kafka latency at 500 msg/s",
    needs: "kafka",
    baseline: kafkaRawLatency,
    bus: kafkaBusLatency,
    goals: [
      { what: "p50", ratio: p50, atMost: 1.2 },
      { what: "p99", ratio: p99, atMost: 1.5 },
    ],
  },
  {
    name: "Kafka memory with 100,000 waiting, against none",
    needs: "kafka",
    baseline: kafkaBusWaiting,
    between: kafkaBusFill,
    bus: kafkaBusWaiting,
    goals: [{ what: "more memory", ratio: (bus, baseline) => bus.rssMb - baseline.rssMb, unit: "MB", atMost: 50 }],
  },
  {
    name: "Kafka idle",
    needs: "kafka",
    baseline: kafkaRawIdle,
    bus: kafkaBusIdle,
    goals: [
      { what: "CPU of one core", ratio: (bus) => bus.cpuPercent ?? 0, unit: "%", atMost: 4 },
      { what: "longest of five stop()", ratio: (bus) => bus.stopMs ?? 0, unit: "ms", atMost: 500 },
    ],
  },
  {
    name: "Service Bus publish, 100 outstanding, against a send a message",
    needs: "service-bus",
    baseline: serviceBusRawPublish,
    bus: serviceBusPublish,
    goals: [
      { what: "rate", ratio: rate, atLeast: 3 },
      { what: "CPU", ratio: cpu },
    ],
  },
  {
    name: "Service Bus drain, prefetch 100",
    needs: "service-bus",
    baseline: serviceBusRawDrain,
    bus: serviceBusDrain,
    goals: [
      { what: "rate", ratio: rate, atLeast: 0.95 },
      { what: "CPU", ratio: cpu },
    ],
  },
];
