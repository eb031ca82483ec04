import { BrokerUnavailable } from "../../scripts/brokers.d/index.mjs";
import type { Broker } from "../../scripts/brokers.d/support/broker.mjs";
import type { TestBroker } from "./brokers.js";

/** Every broker must be there: on a continuous integration server a skipped broker is a failure. */
const mustHaveAll = process.env["CI"] === "true";

/** Names of brokers to leave out, with commas; for a quick run, or to see what a run without them looks like. */
const leftOut = new Set((process.env["TROLLEYBUS_SKIP_BROKERS"] ?? "").split(",").filter((name) => name !== ""));

export interface WantedBroker {
  readonly broker: Broker;
  /** A continuous integration server installs what is missing, anybody else only where this says so. */
  readonly mayInstall: boolean;
}

/** Brings up the brokers that tests need, hands them to `provide`, and resolves with what takes down what was brought up. */
export async function borrowBrokers(
  wanted: readonly WantedBroker[],
  provide: (brokers: readonly TestBroker[]) => void,
): Promise<() => Promise<void>> {
  const giveBacks: (() => Promise<void>)[] = [];
  const giveAllBack = async (): Promise<void> => {
    await Promise.all(giveBacks.map((giveBack) => giveBack()));
  };
  try {
    const brokers: TestBroker[] = [];
    for (const each of wanted) brokers.push(await borrow(each, giveBacks));
    provide(brokers);
  } catch (error) {
    await giveAllBack();
    throw error;
  }
  return giveAllBack;
}

async function borrow({ broker, mayInstall }: WantedBroker, giveBacks: (() => Promise<void>)[]): Promise<TestBroker> {
  const { name, title } = broker;
  try {
    if (leftOut.has(name)) throw new BrokerUnavailable(`${title} was left out by TROLLEYBUS_SKIP_BROKERS`);
    if (!mayInstall && !mustHaveAll && !broker.installed && !(await broker.running())) {
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
}
