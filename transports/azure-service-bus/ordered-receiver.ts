import { randomBytes, randomUUID } from "node:crypto";
import type { ServiceBusReceiver, ServiceBusSessionReceiver } from "@azure/service-bus";
import type { DeliverySink, EndpointPlan, Receiver } from "../../src/contracts/transport.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { RECEIVER_OPTIONS } from "./client.js";
import { CopyStore } from "./copy-store.js";
import { AzureServiceBusError, isLockLost, isNotFound, mistakeInQueue, serviceAnswer, textOf, unavailable } from "./errors.js";
import { HeldSession, type SessionContext } from "./held-session.js";
import { SESSIONS } from "./mapping.js";
import { QueueHome } from "./queue-home.js";
import { QueueWatch } from "./queue-watch.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { Settler } from "./settler.js";
import { SharedRoom } from "./shared-room.js";
import { DeliveryCounts } from "./suspicion.js";
import { answered, settledBy } from "./time-limit.js";

/** Requests for a session that wait at one time. Each takes what comes next; more of them only take up more sessions of the client's connection. */
const MAX_ASKING = 4;
const LOOK_EVERY_MS = 500;
/** A session of which nothing has come for so long is given back. */
const IDLE_MS = 10_000;
/** So soon when this process holds as many as it may, and others may wait. */
const IDLE_WHEN_FULL_MS = 500;
/** A session of which something has waited so long for room here, while nothing of it is being handled, is given to whoever has room. */
const IN_VAIN_MS = 1_000;
/** So long a busy session stays with one process before another may have it, and so long again where it could not be given back. */
const SLICE_MS = 60_000;
/** So long its messages wait for that, */
const GIVE_BACK_MS = 2_000;
/** or this part of the time that it was held, where no other session has room here. */
const GIVE_BACK_SHARE = 0.25;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;
/** No message has a session of this name, nor has anybody its lock: asking for it tells whether the queue is there, and has sessions. */
const PROBED_SESSION = "trolleybus.is-there.";

type Client = ReceiverEnvironment["connection"]["client"];

/**
 * Receives from the queue of an ordered endpoint: holds sessions, each the messages of some keys, as many as there is room for. A session has one holder at a time,
 * among all instances; that is what keeps the order. One that falls idle, or has been held for long, is given back, and the next is asked for.
 */
export class OrderedReceiver implements Receiver {
  readonly #environment: ReceiverEnvironment;
  readonly #endpoint: EndpointPlan;
  readonly #queue: string;
  readonly #sink: DeliverySink;
  readonly #room: SharedRoom;
  readonly #counts = new DeliveryCounts();
  readonly #copies: CopyStore;
  readonly #settler: Settler;
  readonly #watch: QueueWatch;
  readonly #sessions = new Set<HeldSession>();
  readonly #stopping = new AbortController();
  readonly #holder = randomBytes(9).toString("base64url");
  readonly #leave: () => void;
  #asking = 0;
  /** One while nothing comes: each costs an operation whenever its time is over. */
  #mostAsking = 1;
  #failures = 0;
  #spare: { readonly of: unknown; readonly it: ServiceBusReceiver } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;
  #status: "up" | "down" = "down";

  constructor(environment: ReceiverEnvironment, endpoint: EndpointPlan, prefetch: number, sink: DeliverySink) {
    const { connection, names, keeper, sender } = environment;
    this.#environment = environment;
    this.#endpoint = endpoint;
    this.#queue = names.queue(endpoint.name);
    this.#sink = sink;
    this.#room = new SharedRoom(prefetch);
    this.#copies = new CopyStore(sender, keeper, endpoint.name);
    this.#settler = new Settler(connection);
    this.#watch = new QueueWatch(environment, endpoint.name, () => this.#peeker(), { hasRoom: () => false, stalled: () => {} });
    this.#leave = connection.onReset((reason) => {
      for (const session of [...this.#sessions]) void session.end(reason);
    });
  }

  /** @throws AzureServiceBusError "topology" when the queue is not there, or may not be received from, or has no sessions */
  async start(): Promise<void> {
    await this.#find();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#watch.start();
    this.#ask();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async close(deadline: number): Promise<void> {
    await settledBy(deadline, this.stop());
    await settledBy(deadline, this.#settler.whenIdle());
    clearInterval(this.#timer);
    this.#leave();
    await Promise.all([...this.#sessions].map((session) => session.close(deadline)));
    if (this.#spare) await settledBy(deadline, this.#spare.it.close());
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    this.#watch.stop();
    await Promise.all([...this.#sessions].map((session) => session.stop()));
  }

  get #isOver(): boolean {
    return this.#stopping.signal.aborted || this.#environment.connection.isClosing;
  }

  /** A session by its name is given at once, or refused where something is wrong with the queue; the next that has messages may be waited for. */
  async #find(): Promise<void> {
    const { connection, keeper, logger } = this.#environment;
    for (let attempt = 0; !this.#isOver; attempt++) {
      const { client } = connection;
      try {
        const session = await answered(
          client.acceptSession(this.#queue, `${PROBED_SESSION}${randomUUID()}`, { ...RECEIVER_OPTIONS }),
          connection.requestTimeoutMs,
        );
        connection.heard();
        void session.close().catch(() => {});
        this.#tell("up");
        return;
      } catch (error) {
        connection.failed(error, client);
        const mistake = mistakeInQueue(error, this.#queue) ?? this.#mistakeInSessions(error);
        const isMissing = isNotFound(error) && !(await keeper.repairEndpoint(this.#endpoint.name).catch(() => false));
        if (mistake !== undefined || isMissing) {
          const missing = `The queue "${this.#queue}" is not there in Azure Service Bus. Set topology: "create", or make it as docs/azure-service-bus.md says.`;
          throw new AzureServiceBusError("topology", mistake ?? missing, { retryable: false, cause: error });
        }
        logger.warn(`The queue "${this.#queue}" cannot be reached: ${textOf(error)}. It is tried again.`);
        await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#stopping.signal, connection.closing);
      }
    }
    throw unavailable("The bus was stopped before it had begun to receive.");
  }

  // What the service says of a queue without sessions, the client keeps to itself.
  #mistakeInSessions(error: unknown): string | undefined {
    if (serviceAnswer(error).code !== "SessionCannotBeLocked") return undefined;
    return `The queue "${this.#queue}" is there in another form: it has no sessions. Whether a queue requires sessions comes from the endpoint's option "order", which cannot be changed: give the endpoint another name.`;
  }

  #look(): void {
    const isFull = this.#sessions.size >= SESSIONS;
    for (const session of [...this.#sessions]) {
      session.look();
      if (this.#isOver) continue;
      if (session.idleMs >= (isFull ? IDLE_WHEN_FULL_MS : IDLE_MS)) void session.close();
      else if (session.inVainMs >= IN_VAIN_MS) void session.close();
      else if (session.untriedMs >= SLICE_MS)
        void session.tryToGiveBack(this.#room.isFull ? session.heldMs * GIVE_BACK_SHARE : GIVE_BACK_MS);
    }
    this.#ask();
  }

  #ask(): void {
    // What is held and cannot be handled here, another instance could handle.
    while (!this.#isOver && !this.#room.isFull && this.#asking < this.#mostAsking && this.#sessions.size + this.#asking < SESSIONS) {
      this.#asking++;
      void this.#askForOne();
    }
  }

  /** Never rejects. */
  async #askForOne(): Promise<void> {
    const { connection, logger } = this.#environment;
    const { client } = connection;
    try {
      const receiver = await this.#accept(client);
      connection.heard();
      this.#failures = 0;
      this.#mostAsking = MAX_ASKING;
      this.#tell("up");
      const session = new HeldSession(receiver, this.#contextOf(client));
      if (this.#isOver) {
        await receiver.close();
        return;
      }
      this.#sessions.add(session);
      session.start();
    } catch (error) {
      // No session with messages within the time is no failure; no answer at all is one.
      const isNone = serviceAnswer(error).code === "ServiceTimeout" || serviceAnswer(error).code === "SessionCannotBeLocked";
      if (isNone) {
        connection.heard();
        this.#mostAsking = 1;
        return;
      }
      if (isLockLost(error) || this.#isOver) return;
      connection.failed(error, client);
      this.#tell("down", textOf(error));
      logger.warn(`No session of the queue "${this.#queue}" can be taken: ${textOf(error)}. It is tried again.`);
      if (isNotFound(error)) await this.#environment.keeper.repairEndpoint(this.#endpoint.name).catch(() => false);
      await delay(backoffWithHalfJitter(this.#failures++, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#stopping.signal, connection.closing);
    } finally {
      this.#asking--;
      this.#ask();
    }
  }

  /** What comes too late is given back. */
  #accept(client: Client): Promise<ServiceBusSessionReceiver> {
    const accepting = client.acceptNextSession(this.#queue, { ...RECEIVER_OPTIONS });
    let isLate = false;
    accepting.then(
      (receiver) => {
        if (isLate) void receiver.close().catch(() => {});
      },
      () => {},
    );
    return answered(accepting, 2 * this.#environment.connection.requestTimeoutMs).catch((error: unknown) => {
      isLate = true;
      throw error;
    });
  }

  #contextOf(client: Client): SessionContext {
    const { connection, logger, lockDurationMs } = this.#environment;
    return {
      holder: this.#holder,
      connection,
      client,
      counts: this.#counts,
      sink: this.#sink,
      logger,
      room: this.#room,
      lockDurationMs,
      home: (receiver) =>
        new QueueHome(this.#queue, this.#endpoint, this.#queue, this.#copies, this.#counts, this.#settler, () => receiver),
      ended: (session, reason) => {
        this.#sessions.delete(session);
        if (reason !== "closed") logger.warn(`The session ${session.id} of the queue "${this.#queue}" is lost: ${reason}.`);
        this.#ask();
      },
    };
  }

  #peeker(): ServiceBusReceiver {
    const { client } = this.#environment.connection;
    if (this.#spare?.of !== client || this.#spare.it.isClosed)
      this.#spare = { of: client, it: client.createReceiver(this.#queue, RECEIVER_OPTIONS) };
    return this.#spare.it;
  }

  #tell(status: "up" | "down", reason?: string): void {
    if (status === this.#status && status === "up") return;
    this.#status = status;
    this.#environment.status(this.#endpoint.name, status, reason);
  }
}
