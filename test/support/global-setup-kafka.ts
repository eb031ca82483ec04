import type { TestProject } from "vitest/node";
import { kafka, kafka3 } from "../../scripts/brokers.d/index.mjs";
import { borrowBrokers } from "./borrow-brokers.js";

/** As `global-setup.ts`, for the tests of Kafka. */
export default function setUp(project: TestProject): Promise<() => Promise<void>> {
  const wanted = [
    { broker: kafka, mayInstall: true },
    { broker: kafka3, mayInstall: false },
  ];
  return borrowBrokers(wanted, (brokers) => project.provide("kafkaBrokers", brokers));
}
