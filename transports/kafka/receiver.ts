import type { DeliverySink, EndpointPlan, Receiver } from "../../src/contracts/transport.js";
import { delay } from "../../src/util/delay.js";
import { settledBy } from "../../src/util/time-limit.js";
import type { AssignedPartition, TopicRole } from "./assigned-partition.js";
import { BegunMark } from "./begun-mark.js";
import { CopyRemover } from "./copy-remover.js";
import { CopyStore } from "./copy-store.js";
import { type CommittedOffset, DriverError } from "./driver.js";
import { KafkaError, textOf, unavailable } from "./errors.js";
import { GroupReader } from "./group-reader.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";

/** How long an endpoint may take to begin, a rebalance that waits for an instance that died included. */
const START_MS = 60_000;
/** How often it is told how much waits in the topics, and looked whether they are still those that are read. */
const LOOK_EVERY_MS = 15_000;
/** Retry topics that other instances made are noticed within this time. */
const LIST_EVERY_MS = 60_000;
/** What lies behind the commit in the retry topics is deleted so often: their retention has no end. */
const DELETE_EVERY_MS = 60_000;
/** A topic that is gone is waited for so long, when it is made anew. */
const REPAIR_MS = 10_000;
const REPAIR_LOOK_MS = 250;

/** Receives for an endpoint: from its types' topics, from that of its commands, and from those of its delayed retries. */
export class EndpointReceiver implements Receiver {
  readonly #environment: ReceiverEnvironment;
  readonly #endpoint: EndpointPlan;
  readonly #reader: GroupReader;
  readonly #mark: BegunMark;
  readonly #remover: CopyRemover;
  readonly #stopping = new AbortController();
  /** Those that are not there. */
  #missing: readonly string[] = [];
  /** Those of any instance that this one, which leads the group, could give to nobody. */
  #unassigned: readonly string[] = [];
  /** Whether the group has begun once and Kafka has forgotten where it was. `undefined`: not known yet. */
  #hasLostItsPlace: boolean | undefined;
  #isMarked = false;
  #hasStarted = false;
  #stopped: Promise<void> | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #deleteTimer: NodeJS.Timeout | undefined;

  constructor(environment: ReceiverEnvironment, endpoint: EndpointPlan, prefetch: number, sink: DeliverySink) {
    const { names, options, status } = environment;
    const copies = new CopyStore(environment, endpoint);
    const commands = names.topicOfEndpoint(endpoint.name);
    this.#environment = environment;
    this.#endpoint = endpoint;
    this.#mark = new BegunMark(environment, endpoint);
    this.#remover = new CopyRemover(environment);
    this.#reader = new GroupReader(
      environment,
      {
        group: names.groupOf(endpoint.name),
        prefetch,
        topics: () => this.#rolesToRead(),
        startOf: (topic) => {
          // What is in the topics of the endpoint's own was meant for it, whenever that was.
          if (topic === commands || names.retryDelayOf(endpoint.name, topic) !== undefined) return "beginning";
          return this.#hasLostItsPlace ? "earliest" : options.from;
        },
        unassigned: (topics) => {
          this.#unassigned = topics;
        },
        status: (down) => {
          if (down) status(endpoint.name, "down", textOf(down));
          else this.#tellUp();
        },
        home: {
          storeRetry: (record, delayMs, failure) => copies.storeRetry(record, delayMs, failure),
          storeDeadLetter: (record, failure) => copies.storeDeadLetter(record, failure),
          // It is not committed: whoever reads the partition next begins with it.
          giveBack: async () => "leave",
        },
      },
      sink,
    );
  }

  /** @throws KafkaError "topology" when a topic is not there, or may not be read */
  async start(): Promise<void> {
    this.#reader.start();
    try {
      await this.#reader.whenReading(START_MS);
    } catch (error) {
      throw this.#startError(error);
    }
    this.#hasStarted = true;
    this.#lookTimer = setInterval(() => void this.#look(), LOOK_EVERY_MS).unref();
    this.#deleteTimer = setInterval(() => void this.#deleteRetried(), DELETE_EVERY_MS).unref();
    void this.#tellLag();
    void this.#leaveMark();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async close(deadline: number): Promise<void> {
    await settledBy(deadline, this.stop());
    await this.#reader.close(deadline);
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#lookTimer);
    clearInterval(this.#deleteTimer);
    this.#reader.stop();
  }

  #tellUp(): void {
    const { name } = this.#endpoint;
    if (this.#missing.length === 0) this.#environment.status(name, "up");
    else this.#environment.status(name, "degraded", `Kafka does not have ${listOf(this.#missing)}: nothing is received from there`);
  }

  /** Everything that the endpoint reads, were it there. */
  async #roles(maxAgeMs = 0): Promise<readonly TopicRole[]> {
    const { names, keeper } = this.#environment;
    const { name, subscribed } = this.#endpoint;
    const types = new Map<string, Set<string>>();
    for (const type of subscribed) {
      const topic = names.topicOfType(type);
      types.set(topic, (types.get(topic) ?? new Set()).add(type));
    }
    const events = [...types].map(([topic, ofTopic]): TopicRole => {
      // On a topic of its own name a type is alone, and what is not of it went astray; a shared one has what others subscribed.
      const isShared = [...ofTopic].some((type) => topic !== names.topicOfEndpoint(type));
      return { topic, retryDelayMs: undefined, types: isShared ? ofTopic : undefined };
    });
    const retries = (await keeper.retryTopicsOf(name, maxAgeMs)).map(
      ({ topic, delayMs }): TopicRole => ({ topic, retryDelayMs: delayMs, types: undefined }),
    );
    return [...events, { topic: names.topicOfEndpoint(name), retryDelayMs: undefined, types: undefined }, ...retries];
  }

  async #rolesToRead(): Promise<readonly TopicRole[]> {
    const roles = await this.#rolesThatExist();
    this.#hasLostItsPlace ??= await this.#looksForgotten();
    return roles;
  }

  async #looksForgotten(): Promise<boolean> {
    const { connection, names, logger } = this.#environment;
    const group = names.groupOf(this.#endpoint.name);
    // In this order: the mark is left after the first commit.
    if (!(await this.#mark.isThere())) return false;
    // Of whatever topic: an endpoint that exchanged the types it subscribes has its offsets of the old ones.
    if (await connection.admin((admin) => admin.hasCommitted(group))) return false;
    logger.warn(
      `Kafka has forgotten what the group "${group}" had committed (offsets.retention.minutes): the endpoint begins with all that its topics still have, rather twice than never.`,
    );
    return true;
  }

  /** One instance does: that which has the first partition of the commands. */
  async #leaveMark(): Promise<void> {
    const { names, options, logger } = this.#environment;
    const { name, subscribed } = this.#endpoint;
    const commands = names.topicOfEndpoint(name);
    const isOurs = [...this.#reader.partitions].some(({ topic, partition }) => topic === commands && partition === 0);
    // Without the mark a group without offsets begins where `from` says.
    if (this.#isMarked || !isOurs || subscribed.length === 0 || options.from === "beginning") return;
    try {
      await this.#mark.leave();
      this.#isMarked = true;
    } catch (error) {
      logger.debug(`That the endpoint "${name}" has begun cannot be noted: ${textOf(error)}`);
    }
  }

  async #rolesThatExist(): Promise<readonly TopicRole[]> {
    const roles = await this.#roles();
    let missing = await this.#missingOf(roles);
    if (missing.length > 0) {
      if (!this.#hasStarted) {
        throw new DriverError("no-topic", `Kafka does not have ${listOf(missing)}, which the endpoint "${this.#endpoint.name}" reads`);
      }
      const isRepaired = missing.filter((topic) => this.#environment.keeper.repairTopic(topic)).length > 0;
      const until = performance.now() + (isRepaired ? REPAIR_MS : 0);
      while (missing.length > 0 && performance.now() < until && !this.#stopping.signal.aborted) {
        await delay(REPAIR_LOOK_MS, this.#stopping.signal);
        missing = await this.#missingOf(roles);
      }
    }
    this.#missing = missing;
    const found = roles.filter(({ topic }) => !missing.includes(topic));
    if (found.length === 0) throw new DriverError("unavailable", `Kafka has none of the topics of the endpoint "${this.#endpoint.name}"`);
    return found;
  }

  async #missingOf(roles: readonly TopicRole[]): Promise<readonly string[]> {
    const topics = roles.map(({ topic }) => topic);
    const found = await this.#environment.connection.admin((admin) => admin.metadata(topics));
    for (const [topic, state] of found) {
      if (state instanceof DriverError && state.kind === "forbidden")
        throw new DriverError("forbidden", `topic "${topic}" may not be read`);
    }
    return topics.filter((topic) => {
      const state = found.get(topic);
      return !state || (state instanceof DriverError && state.kind === "no-topic");
    });
  }

  async #look(): Promise<void> {
    try {
      const roles = await this.#roles(LIST_EVERY_MS);
      const missing = await this.#missingOf(roles);
      const wanted = roles.map(({ topic }) => topic).filter((topic) => !missing.includes(topic));
      const read = this.#reader.roles;
      if (this.#stopping.signal.aborted) return;
      if (wanted.length !== read.size || wanted.some((topic) => !read.has(topic))) this.#reader.renew("the topics to read have changed");
      else if (await this.#canBeAssigned()) this.#reader.renew("a topic is there that nobody has");
    } catch (error) {
      this.#environment.logger.debug(`The topics of endpoint "${this.#endpoint.name}" cannot be looked at: ${textOf(error)}`);
    }
    await this.#leaveMark();
    await this.#tellLag();
  }

  async #canBeAssigned(): Promise<boolean> {
    const topics = this.#unassigned;
    if (topics.length === 0) return false;
    const found = await this.#environment.connection.admin((admin) => admin.metadata(topics));
    return !this.#stopping.signal.aborted && [...found.values()].some((state) => !(state instanceof DriverError));
  }

  async #tellLag(): Promise<void> {
    const { connection, names } = this.#environment;
    const { name } = this.#endpoint;
    const topics = [...this.#reader.roles.values()].filter(({ retryDelayMs }) => retryDelayMs === undefined).map(({ topic }) => topic);
    // Before it is asked for: they have committed by now.
    const reading = [...this.#reader.partitions].filter(({ phase }) => phase === "reading");
    try {
      const read = [...this.#reader.roles.keys()];
      const committed = await connection.admin((admin) => admin.committed(names.groupOf(name), read));
      this.#renewForgotten(reading, committed);
      const done = new Map(committed.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]));
      let waiting = 0;
      for (const topic of topics) {
        for (const { partition, offset } of await connection.admin((admin) => admin.offsets(topic, "latest"))) {
          waiting += Math.max(0, offset - Math.max(0, done.get(`${topic}/${partition}`) ?? 0));
        }
      }
      if (!this.#stopping.signal.aborted) this.#environment.lag(name, waiting);
    } catch (error) {
      // What cannot be asked cannot be received from either, which is told already.
      this.#environment.logger.debug(`How much waits for the endpoint "${name}" cannot be told: ${textOf(error)}`);
    }
  }

  /**
   * Kafka forgets with a topic what groups have committed of it. Where another was made under its name at once, and has grown as long as the old one was,
   * nothing else tells; a new member reads it from its first record.
   */
  #renewForgotten(reading: readonly AssignedPartition[], committed: readonly CommittedOffset[]): void {
    const known = new Set(committed.map(({ topic, partition }) => `${topic}/${partition}`));
    const remade = reading.find(({ topic, partition, isLost }) => !isLost && !known.has(`${topic}/${partition}`));
    if (remade) this.#reader.renew(`the topic "${remade.topic}" was deleted and made again`);
  }

  /** Only what this instance reads: whoever has the partition knows how far it is committed. */
  async #deleteRetried(): Promise<void> {
    await this.#remover.removeDone([...this.#reader.partitions].filter(({ role }) => role.retryDelayMs !== undefined));
  }

  #startError(error: unknown): KafkaError {
    const { name } = this.#endpoint;
    const text = `The endpoint "${name}" cannot receive from Kafka: ${textOf(error)}.`;
    const kind = error instanceof DriverError ? error.kind : "unknown";
    if (kind === "no-topic") {
      return new KafkaError("topology", `${text} Start with topology "create", or have the topics made.`, {
        retryable: false,
        cause: error,
      });
    }
    if (kind === "forbidden") {
      const group = this.#environment.names.groupOf(name);
      const right = `Grant the right "read" for the group "${group}" and for its topics.`;
      return new KafkaError("topology", `${text} ${right}`, { retryable: false, cause: error });
    }
    return unavailable(text, error);
  }
}

function listOf(topics: readonly string[]): string {
  return `the topic${topics.length > 1 ? "s" : ""} ${topics.map((topic) => `"${topic}"`).join(", ")}`;
}
