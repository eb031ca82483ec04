import { describe, inject } from "vitest";
import { MISSING_BROKER } from "./skip-reasons.js";

/** A broker for tests, as `global-setup.ts` found it; `unavailable` says why it is not there. */
export type TestBroker =
  | { readonly name: string; readonly title: string; readonly url: string; readonly managementUrl?: string | undefined }
  | { readonly name: string; readonly title: string; readonly unavailable: string };

/** A RabbitMQ that runs. */
export interface RabbitmqUnderTest {
  /** `rabbitmq` or `rabbitmq-4`, as `scripts/brokers` calls it. */
  readonly name: string;
  /** The URL with user and password. */
  readonly url: string;
  /** The management API's URL with user and password; absent when the broker was given by its AMQP URL alone. */
  readonly managementUrl?: string | undefined;
}

/** A Kafka that runs. */
export interface KafkaUnderTest {
  /** `kafka` or `kafka-3`, as `scripts/brokers` calls it. */
  readonly name: string;
  /** `host:port` of each broker of it. */
  readonly brokers: readonly string[];
  /** The same as a URL for the option `transport`. */
  readonly url: string;
}

declare module "vitest" {
  interface ProvidedContext {
    rabbitmqBrokers: readonly TestBroker[];
    kafkaBrokers: readonly TestBroker[];
  }
}

/**
 * Runs `tests` once for each RabbitMQ (this machine's package, and 4.0). Where one is missing its tests are skipped with the reason,
 * which `npm test` repeats at its end; with `CI=true` the run has failed before it comes to this.
 */
export function describeWithRabbitmq(title: string, tests: (broker: RabbitmqUnderTest) => void): void {
  describeWith(inject("rabbitmqBrokers"), title, ({ name, url, managementUrl }) =>
    tests({ name, url: url ?? "amqp://missing.invalid", managementUrl }),
  );
}

/** As `describeWithRabbitmq`, for Kafka (4.x, and 3.9). */
export function describeWithKafka(title: string, tests: (broker: KafkaUnderTest) => void): void {
  describeWith(inject("kafkaBrokers"), title, ({ name, url }) => {
    const brokers = (url ?? "missing.invalid:9092").split(",").map((address) => address.trim().replace(/^kafka:\/\//, ""));
    tests({ name, brokers, url: `kafka://${brokers.join(",")}` });
  });
}

interface Collected {
  readonly name: string;
  readonly url?: string;
  readonly managementUrl?: string | undefined;
}

function describeWith(brokers: readonly TestBroker[], title: string, tests: (broker: Collected) => void): void {
  for (const broker of brokers) {
    if ("url" in broker) describe(`${title} [${broker.title}]`, () => tests(broker));
    // The tests are still collected, so that the report can count them; the URL leads nowhere, and nothing runs.
    else describe.skip(`${title} [${MISSING_BROKER}${broker.unavailable}]`, () => tests({ name: broker.name }));
  }
}

/**
 * The URL of this machine's RabbitMQ, for tests that need one broker and no particular version: call it inside a test or hook.
 * Throws where there is none: guard such tests with `describeWithRabbitmq`, or with `test.skipIf(!hasRabbitmq())`.
 */
export function rabbitmqUrl(): string {
  const broker = inject("rabbitmqBrokers").find((each) => "url" in each);
  if (!broker || !("url" in broker))
    throw new Error("no RabbitMQ runs: wrap these tests in describeWithRabbitmq, which skips them with the reason");
  return broker.url;
}

/** Whether any RabbitMQ runs. */
export function hasRabbitmq(): boolean {
  return inject("rabbitmqBrokers").some((each) => "url" in each);
}
