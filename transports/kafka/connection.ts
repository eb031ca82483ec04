import type { Logger } from "../../src/contracts/logger.js";
import { within } from "../../src/util/time-limit.js";
import type { KafkaDriver } from "./client.js";
import { type DriverAdmin, DriverError, type DriverProducer } from "./driver.js";
import { KafkaError, textOf, unavailable } from "./errors.js";
import { ManagedClient } from "./managed-client.js";
import type { ResolvedOptions } from "./options.js";

/** How long a request of the admin may wait for a connection. */
const WAIT_FOR_ADMIN_MS = 30_000;
/** kafkajs ends its requests by itself, each in `requestTimeout`; one call makes several of them. */
const REQUESTS_OF_A_CALL = 4;

/** The producer and the admin of one transport, kept alive for ever; consumers are made by their own supervisors. */
export class KafkaConnection {
  readonly driver: KafkaDriver;
  readonly #producer: ManagedClient<DriverProducer>;
  readonly #admin: ManagedClient<DriverAdmin>;
  readonly #adminCallMs: number;
  readonly #brokerCount: number;
  /** Of the admin, one after the other. */
  #failedTries = 0;
  #failedSince = 0;

  /** @param producerChanged told `undefined` when messages can be sent again, else why they cannot */
  constructor(driver: KafkaDriver, options: ResolvedOptions, logger: Logger, producerChanged: (downReason: string | undefined) => void) {
    const { brokers, connectTimeoutMs, requestTimeoutMs } = options;
    const settings = { brokers, connectTimeoutMs, drainMs: requestTimeoutMs * 2 };
    this.driver = driver;
    this.#brokerCount = brokers.length;
    this.#adminCallMs = requestTimeoutMs * REQUESTS_OF_A_CALL;
    this.#producer = new ManagedClient(() => driver.producer(), { part: "producer", ...settings }, logger, producerChanged);
    this.#admin = new ManagedClient(
      () => driver.admin(),
      { part: "admin", ...settings },
      logger,
      (downReason) => this.#adminChanged(downReason),
    );
  }

  /** `undefined` while no broker can be reached. */
  get producer(): DriverProducer | undefined {
    return this.#producer.current;
  }

  /** Why there is no producer. */
  get downReason(): string {
    return this.#producer.downReason;
  }

  /** Aborts when the connection begins to close for good. */
  get closing(): AbortSignal {
    return this.#producer.closing;
  }

  get isClosing(): boolean {
    return this.closing.aborted;
  }

  /** @throws KafkaError "configuration", or "unavailable" after `signal`. */
  async open(signal: AbortSignal): Promise<void> {
    await this.#admin.open(signal);
    await this.#producer.open(signal);
  }

  /** Has the producer made anew: its connections, or what it knows of the cluster, are not to be trusted. */
  replaceProducer(broken: DriverProducer, reason: string): void {
    this.#producer.replace(broken, reason);
  }

  /**
   * Asks the broker something, when there is a connection. @throws DriverError as the driver says it, or KafkaError "unavailable" when there is no
   * connection, or no answer, in time
   */
  async admin<T>(call: (admin: DriverAdmin) => Promise<T>): Promise<T> {
    const admin = await this.#admin.whenUp(WAIT_FOR_ADMIN_MS);
    try {
      return await within(this.#adminCallMs, call(admin), () => unavailable("Kafka does not answer"));
    } catch (error) {
      if (isLost(error)) this.#admin.replace(admin, textOf(error));
      throw error;
    }
  }

  // The admin asks something every half a minute, a producer that nobody uses nothing: only another one tells whether it would be of use. Each try begins with another
  // broker, of which one alone may be away. One that was answered meanwhile works, though no other could take its place now.
  #adminChanged(downReason: string | undefined): void {
    if (downReason === undefined) {
      this.#failedTries = 0;
      return;
    }
    if (this.#failedTries++ === 0) this.#failedSince = performance.now();
    const producer = this.#producer.current;
    if (producer && this.#failedTries >= this.#brokerCount && producer.lastAnswered < this.#failedSince)
      this.#producer.replace(producer, "no broker can be reached");
  }

  /** Closes for good; cuts off what has not closed by `deadline` (a `performance.now()` time). Never rejects. */
  async close(deadline: number): Promise<void> {
    await Promise.all([this.#producer.close(deadline), this.#admin.close(deadline)]);
  }
}

// What the protocol has a name for was answered, over a connection that works.
function isLost(error: unknown): boolean {
  if (error instanceof DriverError) return error.type === undefined && (error.kind === "unavailable" || error.kind === "timeout");
  return error instanceof KafkaError && error.code === "unavailable";
}
