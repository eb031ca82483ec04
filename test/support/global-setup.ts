import type { TestProject } from "vitest/node";
import { rabbitmq, rabbitmq4 } from "../../scripts/brokers.d/index.mjs";
import { borrowBrokers } from "./borrow-brokers.js";

/** Brings up the brokers that the tests need, tells the tests their URLs, and takes down what it brought up. */
export default function setUp(project: TestProject): Promise<() => Promise<void>> {
  const wanted = [
    { broker: rabbitmq, mayInstall: true },
    // A download of 370 MB where there is no Docker: only a continuous integration server fetches it unasked.
    { broker: rabbitmq4, mayInstall: false },
  ];
  return borrowBrokers(wanted, (brokers) => project.provide("rabbitmqBrokers", brokers));
}
