import type { ServiceBusAdministrationClient } from "@azure/service-bus";
import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { type AnsweredNo, asked } from "./administration.js";
import type { ManagedClient } from "./connection.js";
import { AzureServiceBusError, textOf, unavailable } from "./errors.js";
import { endSubscription, isEnded, isRestored, keepSubscription, NOTHING, RESTORED, resumeSubscription } from "./subscription-end.js";
import { differencesOfQueue, differencesOfSubscription, differencesOfTopic, durationOf } from "./topology-difference.js";
import { FOREVER, type NamespaceTopology, type QueueSpec, type SubscriptionSpec } from "./topology-plan.js";
import { RightsProbe } from "./topology-probe.js";

/** What the administration is asked through, and what is known of the namespace. */
export interface Administration {
  readonly client: ServiceBusAdministrationClient;
  /** Of "Basic", which has queues alone; `undefined` where the right to look is missing. */
  readonly tier: "Basic" | "Standard" | "Premium" | undefined;
}

/** What was found of what: its differences, or why there are none to tell. */
interface Look {
  readonly what: string;
  readonly found: readonly string[] | AnsweredNo;
}

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 5_000;
/** Failures of the service itself (429, 5xx, a lost connection) that are tried again. */
const MAX_FAILURES = 12;

/** The service's longest time to live in the Basic tier; what is older is dead-lettered. */
const BASIC_TIME_TO_LIVE = "P14D";

/** What the bus was told to make at start, or to compare; "restore": to bring back of it what has gone since. */
export type TopologyMode = "create" | "verify" | "restore";

/**
 * Makes or compares what is wanted. Everything that is wrong is told at once. What may pass is tried again.
 * @throws AzureServiceBusError "topology" naming every difference or missing right; "unavailable" when the service keeps failing.
 */
export async function applyTopology(
  administration: Administration,
  connection: ManagedClient,
  wanted: NamespaceTopology,
  mode: TopologyMode,
  logger: Logger,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const run = new TopologyRun(administration, connection, logger);
    try {
      await (mode === "verify" ? run.verify(wanted) : run.create(wanted, mode));
      run.throwIfWrong(mode);
      return;
    } catch (error) {
      if (error instanceof AzureServiceBusError && !error.retryable) throw error;
      if (connection.isClosing) throw unavailable("The bus was stopped before its queues were there.", error);
      if (attempt >= MAX_FAILURES) throw unavailable(`Azure Service Bus keeps failing to make the queues: ${textOf(error)}`, error);
      logger.debug(`The topology in Azure Service Bus is tried again: ${textOf(error)}`);
    }
    await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), connection.closing);
  }
}

/** One walk over the wanted topology. */
class TopologyRun {
  readonly #client: ServiceBusAdministrationClient;
  readonly #tier: Administration["tier"];
  readonly #connection: ManagedClient;
  readonly #logger: Logger;
  readonly #wrong: string[] = [];

  constructor({ client, tier }: Administration, connection: ManagedClient, logger: Logger) {
    this.#client = client;
    this.#tier = tier;
    this.#connection = connection;
    this.#logger = logger;
  }

  async create(wanted: NamespaceTopology, mode: "create" | "restore"): Promise<void> {
    this.#checkTier(wanted);
    // What is forwarded to must be there first.
    await Promise.all(wanted.queues.map((queue) => this.#createQueue(queue)));
    if (this.#tier === "Basic") return;
    await Promise.all(wanted.topics.map((topic) => this.#createTopic(topic)));
    await Promise.all(wanted.subscriptions.map((subscription) => this.#createSubscription(subscription, mode)));
    await Promise.all(wanted.unsubscribed.map((each) => (mode === "create" ? this.#unsubscribe(each) : this.#unsubscribeRestored(each))));
  }

  async verify(wanted: NamespaceTopology): Promise<void> {
    this.#checkTier(wanted);
    const looks = await this.#lookAtAll(wanted);
    // That something is missing the service tells some who may not look at what is there.
    if (looks.some(({ found }) => found === "forbidden")) await this.#probe(wanted);
    else for (const { what, found } of looks) this.#noteDifferences(what, found);
  }

  /** @throws AzureServiceBusError "topology" */
  throwIfWrong(mode: TopologyMode): void {
    if (this.#wrong.length === 0) return;
    const list = this.#wrong.map((text) => `\n  - ${text}`).join("");
    throw new AzureServiceBusError(
      "topology",
      mode !== "verify"
        ? `What the bus needs cannot be made in Azure Service Bus:${list}`
        : `Azure Service Bus does not hold what the bus needs (topology: "verify"):${list}\nLet a service with topology: "create" make it, or make it by hand as docs/azure-service-bus.md says.`,
      { retryable: false },
    );
  }

  #checkTier({ topics }: NamespaceTopology): void {
    if (this.#tier !== "Basic" || topics.length === 0) return;
    this.#wrong.push(
      `The namespace is of the Basic tier, which has queues but no topics, so events (${topics.join(", ")}) cannot be published or subscribed. Take the Standard or Premium tier, or send commands alone.`,
    );
  }

  #lookAtAll({ queues, topics, subscriptions }: NamespaceTopology): Promise<readonly Look[]> {
    return Promise.all([
      ...queues.map(async (queue) => ({ what: `queue "${queue.name}"`, found: await this.#lookAtQueue(queue) })),
      ...topics.map(async (topic) => ({ what: `topic "${topic}"`, found: await this.#lookAtTopic(topic) })),
      ...subscriptions.map(async (each) => ({ what: describe(each), found: await this.#lookAtRules(each) })),
    ]);
  }

  async #probe({ queues, topics, subscriptions }: NamespaceTopology): Promise<void> {
    this.#logger.debug("Queues and topics are looked for, not compared: the right to manage the namespace is missing.");
    const probe = new RightsProbe(this.#connection);
    const looks = [
      ...queues.map(({ name }) => ({ what: `queue "${name}"`, is: probe.queueIsThere(name) })),
      ...topics.map((name) => ({ what: `topic "${name}"`, is: probe.topicIsThere(name) })),
      ...subscriptions.map((each) => ({ what: describe(each), is: probe.subscriptionIsThere(each.topic, each.name) })),
    ];
    for (const { what, is } of looks) if (!(await is)) this.#noteDifferences(what, "missing");
  }

  async #createQueue(queue: QueueSpec): Promise<void> {
    await this.#make(
      `queue "${queue.name}"`,
      () => this.#lookAtQueue(queue),
      () =>
        this.#client.createQueue(queue.name, {
          lockDuration: durationOf(queue.lockDurationMs),
          defaultMessageTimeToLive: this.#tier === "Basic" ? BASIC_TIME_TO_LIVE : FOREVER,
          deadLetteringOnMessageExpiration: true,
          maxDeliveryCount: queue.maxDeliveryCount,
          requiresSession: queue.requiresSession,
          requiresDuplicateDetection: false,
          enablePartitioning: false,
          enableBatchedOperations: true,
        }),
    );
  }

  async #createTopic(topic: string): Promise<void> {
    await this.#make(
      `topic "${topic}"`,
      () => this.#lookAtTopic(topic),
      () =>
        this.#client.createTopic(topic, {
          defaultMessageTimeToLive: FOREVER,
          requiresDuplicateDetection: false,
          enablePartitioning: false,
          enableBatchedOperations: true,
          supportOrdering: true,
        }),
    );
  }

  async #createSubscription(subscription: SubscriptionSpec, mode: "create" | "restore"): Promise<void> {
    const found = await this.#make(
      describe(subscription),
      () => this.#lookAtSubscription(subscription),
      () =>
        this.#client.createSubscription(subscription.topic, subscription.name, {
          forwardTo: subscription.forwardTo,
          defaultMessageTimeToLive: FOREVER,
          deadLetteringOnMessageExpiration: true,
          deadLetteringOnFilterEvaluationExceptions: true,
          // A forward that fails is tried so often before the message is kept among the transfer dead letters.
          maxDeliveryCount: 50,
          enableBatchedOperations: true,
          ...(mode === "restore" ? RESTORED : {}),
        }),
    );
    // Somebody may have taken it back since this bus has started.
    if (found === "fits" && mode === "create") await this.#subscribeAgain(subscription);
  }

  async #subscribeAgain(subscription: SubscriptionSpec): Promise<void> {
    const what = describe(subscription);
    const isResumed = (await keepSubscription(this.#client, subscription)) ?? (await resumeSubscription(this.#client, subscription));
    if (isResumed === true) this.#logger.info(`The ${what}, which had been taken back, lets everything in again.`);
    else if (isResumed === "forbidden") this.#noteDifferences(what, isResumed);
    else if (isResumed !== false) throw unavailable(`The ${what} is being changed by another instance.`);
  }

  async #unsubscribeRestored(subscription: SubscriptionSpec): Promise<void> {
    if (await isRestored(this.#client, subscription)) await this.#unsubscribe(subscription);
  }

  /** Deleting a subscription deletes its dead letters: while it has some it stays, and takes nothing more. */
  async #unsubscribe({ topic, name, forwardTo }: SubscriptionSpec): Promise<void> {
    const what = describe({ topic, name, forwardTo });
    const counts = await asked(() => this.#client.getSubscriptionRuntimeProperties(topic, name));
    if (counts === "missing") return;
    if (typeof counts === "string") return this.#noteDifferences(`end of the ${what}`, counts);
    if (counts.totalMessageCount === 0 && counts.transferMessageCount + counts.transferDeadLetterMessageCount === 0) {
      const no = await asked(() => this.#client.deleteSubscription(topic, name));
      if (typeof no === "string" && no !== "missing") this.#noteDifferences(`end of the ${what}`, no);
      return;
    }
    this.#logger.warn(
      `The ${what} has dead letters, which would be deleted with it. It is kept, with a rule that lets nothing in; delete it when they are handled.`,
    );
    await endSubscription(this.#client, { topic, name });
    // Else it would be ended again and again.
    await keepSubscription(this.#client, { topic, name });
  }

  /** @returns what came of it; "wrong" is noted */
  async #make(
    what: string,
    look: () => Promise<readonly string[] | AnsweredNo>,
    create: () => Promise<unknown>,
  ): Promise<"made" | "fits" | "wrong"> {
    let found = await look();
    if (found === "missing") {
      const no = await asked(async () => void (await create()));
      if (typeof no !== "string") return "made";
      // Another instance was faster, or is at it still.
      found = no === "exists" ? await look() : no;
      if (found === "missing") throw unavailable(`The ${what} exists and cannot be seen yet.`);
    }
    this.#noteDifferences(what, found);
    return found.length === 0 ? "fits" : "wrong";
  }

  #lookAtQueue(queue: QueueSpec): Promise<readonly string[] | AnsweredNo> {
    return asked(async () => differencesOfQueue(await this.#client.getQueue(queue.name), queue));
  }

  #lookAtTopic(topic: string): Promise<readonly string[] | AnsweredNo> {
    return asked(async () => differencesOfTopic(await this.#client.getTopic(topic)));
  }

  #lookAtSubscription(subscription: SubscriptionSpec): Promise<readonly string[] | AnsweredNo> {
    const { topic, name } = subscription;
    return asked(async () => differencesOfSubscription(await this.#client.getSubscription(topic, name), subscription));
  }

  async #lookAtRules(subscription: SubscriptionSpec): Promise<readonly string[] | AnsweredNo> {
    const found = await this.#lookAtSubscription(subscription);
    if (typeof found === "string") return found;
    const hasEnded = await asked(() => isEnded(this.#client, subscription));
    return hasEnded === true
      ? [
          ...found,
          `its only rule is "${NOTHING.name}" (${NOTHING.expression}) and should be one that lets messages in: the subscription was taken back with unsubscribe`,
        ]
      : found;
  }

  #noteDifferences(what: string, found: readonly string[] | AnsweredNo): void {
    if (found === "missing") this.#wrong.push(`The ${what} is not there.`);
    else if (found === "forbidden") {
      this.#wrong.push(
        `The ${what}: the right "Manage" of the namespace is missing. Grant it (or the role "Azure Service Bus Data Owner"), or make the topology with another policy and set topology: "verify" or "none", which need Send and Listen alone.`,
      );
    } else if (typeof found === "string") this.#wrong.push(`The ${what} is there, and cannot be seen.`);
    else if (found.length > 0) {
      this.#wrong.push(
        `The ${what} is there in another form: ${found.join("; ")}. The bus changes nothing that exists. Change what can be changed, take another name, or empty and delete it and start again.`,
      );
    }
  }
}

function describe({ topic, name }: SubscriptionSpec): string {
  return `subscription "${name}" of the topic "${topic}"`;
}
