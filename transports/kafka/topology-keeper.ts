import type { Logger } from "../../src/contracts/logger.js";
import type { TopologyPlan } from "../../src/contracts/transport.js";
import type { KafkaConnection } from "./connection.js";
import { KafkaError, textOf } from "./errors.js";
import type { Names } from "./mapping.js";
import type { TopicDirectory } from "./topic-directory.js";
import { applyTopology } from "./topology.js";
import { clashesIn, messageTopicsOf, type PlannedTopic, type TopicSettings, topologyOf } from "./topology-plan.js";

/** A topic of retries that exists, whether or not the endpoint still has that delay. */
export interface RetryTopic {
  readonly topic: string;
  readonly delayMs: number;
}

/** Remembers what this bus has had made, and makes anew what somebody took away meanwhile. */
export class TopologyKeeper {
  readonly #connection: KafkaConnection;
  readonly #directory: TopicDirectory;
  readonly #names: Names;
  readonly #settings: TopicSettings;
  readonly #logger: Logger;
  readonly #changed: (missing: readonly string[]) => void;
  readonly #made = new Map<string, PlannedTopic>();
  readonly #repairs = new Set<string>();
  /** Of the topics of the cluster those that may be of retries. */
  #listed: readonly string[] = [];
  #listedAt = Number.NEGATIVE_INFINITY;

  /** @param changed told which topics are missing and being made anew, whenever that changes */
  constructor(
    connection: KafkaConnection,
    directory: TopicDirectory,
    names: Names,
    settings: TopicSettings,
    logger: Logger,
    changed: (missing: readonly string[]) => void,
  ) {
    this.#changed = changed;
    this.#connection = connection;
    this.#directory = directory;
    this.#names = names;
    this.#settings = settings;
    this.#logger = logger;
  }

  /** @throws KafkaError "topology" naming every difference or missing right, "unavailable" when the cluster keeps failing */
  async provision(plan: TopologyPlan, mode: "create" | "verify"): Promise<void> {
    const clashes = clashesIn(plan, this.#names);
    if (clashes.length > 0)
      throw new KafkaError("configuration", `The option topics cannot be so: ${clashes.join("; ")}. Take another topic.`, {
        retryable: false,
      });
    const limits = new Map<string, number>();
    if (plan.endpoints.length > 0) await this.#learnLimits([...messageTopicsOf(plan, this.#names)], limits);
    const wanted = topologyOf(plan, this.#names, this.#settings, (topic) => limits.get(topic) ?? this.#directory.defaultLimit);
    await applyTopology(this.#connection, this.#directory, wanted, mode, this.#logger);
    if (mode === "create") for (const planned of wanted) this.#made.set(planned.topic, planned);
  }

  /**
   * The topics of delayed retries of an endpoint that exist, those of earlier delays too. Which there are is known by name alone, so all topics of the cluster are
   * listed, with all their partitions: that may be many. @param maxAgeMs so old may the list be
   */
  async retryTopicsOf(endpoint: string, maxAgeMs: number): Promise<readonly RetryTopic[]> {
    const now = performance.now();
    if (now - this.#listedAt >= maxAgeMs) {
      const topics = await this.#connection.admin((admin) => admin.listTopics());
      // Another endpoint may have asked later and been answered before.
      if (now >= this.#listedAt) {
        this.#listed = topics.filter((topic) => topic.includes(".retry."));
        this.#listedAt = now;
      }
    }
    const found: RetryTopic[] = [];
    for (const topic of this.#listed) {
      const delayMs = this.#names.retryDelayOf(endpoint, topic);
      if (delayMs !== undefined) found.push({ topic, delayMs });
    }
    return found.sort((a, b) => a.delayMs - b.delayMs);
  }

  /** Makes a topic anew that is gone, in the background; `false` when this bus has not had it made. */
  repairTopic(topic: string): boolean {
    const planned = this.#made.get(topic);
    if (!planned) return false;
    if (!this.#repairs.has(topic)) {
      this.#repairs.add(topic);
      this.#changed([...this.#repairs]);
      this.#logger.warn(`Topic "${topic}" is not there in Kafka any more. It is made anew; what nobody had handled of it is lost.`);
      void this.#repair(planned);
    }
    return true;
  }

  async #repair(planned: PlannedTopic): Promise<void> {
    try {
      await applyTopology(this.#connection, this.#directory, [planned], "create", this.#logger);
    } catch (error) {
      this.#logger.error(`Topic "${planned.topic}" cannot be made anew: ${textOf(error)}`);
    }
    this.#repairs.delete(planned.topic);
    this.#changed([...this.#repairs]);
  }

  // Of those that are not there yet, or cannot be looked at, the cluster's own limit is taken; what else is wrong with them is told later.
  async #learnLimits(topics: readonly string[], limits: Map<string, number>): Promise<void> {
    const known = await Promise.allSettled(topics.map((topic) => this.#directory.find(topic)));
    for (const each of known) {
      if (each.status === "fulfilled" && each.value) limits.set(each.value.topic, each.value.maxMessageBytes);
    }
  }
}
