import type { TestProject } from "vitest/node";
import { BrokerUnavailable, rabbitmq, rabbitmq4 } from "../../scripts/brokers.d/index.mjs";
import type { Broker } from "../../scripts/brokers.d/support/broker.mjs";
import type { TestBroker } from "./brokers.js";

/** Every broker must be there: on a continuous integration server a skipped broker is a failure. */
const mustHaveAll = process.env["CI"] === "true";

/** Names of brokers to leave out, with commas; for a quick run, or to see what a run without them looks like. */
const leftOut = new Set((process.env["TROLLEYBUS_SKIP_BROKERS"] ?? "").split(",").filter((name) => name !== ""));

/** Brings up the brokers that the tests need, tells the tests their URLs, and takes down what it brought up. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const giveBacks: (() => Promise<void>)[] = [];
  const borrow = async (broker: Broker, mayInstall: boolean): Promise<TestBroker> => {
    const { name, title } = broker;
    try {
      if (leftOut.has(name)) throw new BrokerUnavailable(`${title} was left out by TROLLEYBUS_SKIP_BROKERS`);
      if (!mayInstall && !broker.installed && !(await broker.running())) {
        throw new BrokerUnavailable(`${title} is not installed; to have it: scripts/brokers up ${name}`);
      }
      const { url, managementUrl, giveBack } = await broker.borrow();
      giveBacks.push(giveBack);
      process.env[broker.variable] = url; // for the processes that tests start
      return { name, title, url, managementUrl };
    } catch (error) {
      if (!(error instanceof BrokerUnavailable)) throw error;
      if (mustHaveAll) throw new Error(`CI=true, so a missing broker fails the run. ${error.message}`, { cause: error });
      return { name, title, unavailable: error.message };
    }
  };
  const giveAllBack = async (): Promise<void> => {
    await Promise.all(giveBacks.map((giveBack) => giveBack()));
  };

  try {
    // RabbitMQ 4 is a download of 370 MB where there is no Docker: only a continuous integration server fetches it unasked.
    const brokers = [await borrow(rabbitmq, true), await borrow(rabbitmq4, mustHaveAll)];
    project.provide("rabbitmqBrokers", brokers);
  } catch (error) {
    await giveAllBack();
    throw error;
  }
  return giveAllBack;
}
