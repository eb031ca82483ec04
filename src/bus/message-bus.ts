import type { Bus, Endpoint } from "../contracts/bus.js";
import type { ConsumerOf } from "../contracts/consumer.js";
import type { DeadLetters } from "../contracts/dead-letters.js";
import type { Duration } from "../contracts/duration.js";
import type { EndpointOptions } from "../contracts/endpoint-options.js";
import type { IEventBus, PublishOptions } from "../contracts/event-bus.js";
import type { Health } from "../contracts/health.js";
import type { MessageClass, MessageOf } from "../contracts/message-class.js";
import type { IncomingStep, OutgoingStep } from "../contracts/steps.js";
import type { TransportHost } from "../contracts/transport.js";
import type { Instance, Receivable } from "../contracts/wire-safe.js";
import { Visits } from "../dead-letters/visits.js";
import { LeaseKeeper } from "../deduplication/lease-keeper.js";
import { EndpointDefinition } from "../endpoint/endpoint-definition.js";
import type { RunningEndpoint } from "../endpoint/running-endpoint.js";
import { TrolleybusError } from "../errors.js";
import type { BusSettings } from "../options/bus-settings.js";
import { MAX_MESSAGE_BYTES, STOP_DEADLINE_MS } from "../options/defaults.js";
import { duration } from "../options/endpoint-settings.js";
import { show } from "../options/show.js";
import { MessageComposer } from "../outgoing/message-composer.js";
import { PendingBudget } from "../outgoing/pending-budget.js";
import { Publisher } from "../outgoing/publisher.js";
import { Sender } from "../outgoing/sender.js";
import type { BusContext } from "../pipeline/endpoint-context.js";
import { delay } from "../util/delay.js";
import { parseDuration } from "../util/duration.js";
import { Mistakes } from "../util/mistakes.js";
import { mistakeInEndpointName } from "../util/names.js";
import { isOptionsObject } from "../util/options-object.js";
import { cloudEvents } from "../wire/cloud-events.js";
import { WireFormats } from "../wire/wire-formats.js";
import { BusConnection } from "./bus-connection.js";
import { HealthBoard } from "./health-board.js";
import type { PlannedEndpoint } from "./start-checks.js";

/** The bus: its parts put together, and its life from start to stop. */
export class MessageBus implements Bus {
  readonly #settings: BusSettings;
  readonly #connection: BusConnection;
  readonly #health = new HealthBoard();
  readonly #budget: PendingBudget;
  readonly #sender: Sender;
  readonly #composer: MessageComposer;
  readonly #publisher: Publisher;
  readonly #context: BusContext;
  readonly #userSteps: IncomingStep[] = [];
  readonly #definitions: Map<string, EndpointDefinition> = new Map();
  #endpoints: readonly RunningEndpoint[] = [];
  #storeOpened: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  readonly #stopped = new AbortController();
  readonly #visits = new Visits();

  constructor(settings: BusSettings) {
    this.#settings = settings;
    const { service, propagateHeaders, logger, store, ambientContext } = settings;
    const formats = new WireFormats([cloudEvents]);
    const maxMessageBytes = (): number => this.#maxMessageBytes;
    this.#connection = new BusConnection(settings, this.#host());
    this.#budget = new PendingBudget(settings.maxPendingPublishes);
    this.#sender = new Sender(this.#connection, settings.publishTimeoutMs);
    this.#composer = new MessageComposer({ service, propagateHeaders, maxMessageBytes }, formats.writer);
    this.#publisher = new Publisher(this.#composer, this.#sender, this.#budget, ambientContext);
    this.#context = {
      logger,
      store,
      formats,
      publisher: this.#publisher,
      sender: this.#sender,
      leases: new LeaseKeeper(store, logger),
      ambientContext,
      userSteps: this.#userSteps,
      maxMessageBytes,
    };
  }

  publish<T extends object>(message: T & Instance<T>, options?: PublishOptions): Promise<void> {
    return this.#publisher.publish(message, options);
  }

  send<T extends object>(endpoint: string, message: T & Instance<T>, options?: PublishOptions): Promise<void> {
    return this.#publisher.send(endpoint, message, options);
  }

  subscribe<C extends MessageClass>(types: (C | readonly C[]) & Receivable<C>, consumer: ConsumerOf<MessageOf<C>>): this {
    this.#endpoint(this.#settings.service).subscribe(types, consumer);
    return this;
  }

  endpoint(name: string, options?: EndpointOptions): Endpoint {
    const endpoint = this.#endpoint(name);
    if (options !== undefined) {
      this.#assertNotStarted();
      endpoint.configure(options);
    }
    return endpoint;
  }

  use(step: IncomingStep): this {
    this.#assertNotStarted();
    this.#userSteps.push(checkedStep("use", step));
    return this;
  }

  useOutgoing(step: OutgoingStep): this {
    this.#composer.use(checkedStep("useOutgoing", step));
    return this;
  }

  start(): Promise<void> {
    if (this.#stopping)
      return Promise.reject(new TrolleybusError("stopped", "The bus has stopped; make a new one.", { cause: undefined, retryable: false }));
    this.#starting ??= this.#start();
    return this.#starting;
  }

  stop(options: { readonly deadline?: Duration } = {}): Promise<void> {
    const mistakes = new Mistakes();
    if (!isOptionsObject(options)) {
      mistakes.add(`stop is given ${show(options)}; it takes an object, such as { deadline: "25s" }.`);
    } else {
      mistakes.unknownKeys("stop", options, ["deadline"]);
      duration("stop", "deadline", options.deadline, 0, mistakes);
    }
    if (mistakes.any) return Promise.reject(configuration(mistakes.all.join(" ")));
    this.#stopping ??= this.#stop(parseDuration(options.deadline) ?? STOP_DEADLINE_MS);
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  within(transaction: object): IEventBus {
    const { store } = this.#settings;
    throw new TrolleybusError(
      "unsupported",
      `bus.within needs a store with transactions; ${store.name} has none. (It was given ${show(transaction)}.)`,
      { cause: undefined, retryable: false },
    );
  }

  health(): Health {
    // Publishing needs no start: where nothing is received, the connection is all there is to wait for.
    const publishes = this.#definitions.size === 0 && this.#connection.hasOpened;
    return this.#health.read(this.#budget.used, this.#endpoints, publishes);
  }

  deadLetters(endpoint: string = this.#settings.service): DeadLetters {
    const mistake = mistakeInEndpointName(endpoint);
    if (mistake) throw configuration(`deadLetters is given the name of an endpoint; ${mistake}`);
    const process = async (...asked: Parameters<DeadLetters["process"]>): ReturnType<DeadLetters["process"]> => {
      const { DeadLetterBox } = await import("../dead-letters/dead-letter-box.js");
      return new DeadLetterBox(endpoint, () => this.#connection.open(), this.#sender, this.#visits).process(...asked);
    };
    return { process: (...asked) => this.#visits.during(process(...asked)) };
  }

  get #maxMessageBytes(): number {
    return Math.min(
      this.#settings.maxMessageBytes ?? MAX_MESSAGE_BYTES,
      this.#connection.transport?.capabilities.maxMessageBytes ?? Number.POSITIVE_INFINITY,
    );
  }

  #endpoint(name: string): EndpointDefinition {
    const known = this.#definitions.get(name);
    if (known) return known;
    const mistake = mistakeInEndpointName(name);
    if (mistake) throw configuration(mistake);
    this.#assertNotStarted();
    const made = new EndpointDefinition(name, this.#settings.resolve, () => this.#assertNotStarted());
    this.#definitions.set(name, made);
    return made;
  }

  #assertNotStarted(): void {
    if (!this.#starting && !this.#stopping) return;
    throw configuration("Endpoints, consumers and steps are given before start(): what is received from then on would not find them.");
  }

  async #start(): Promise<void> {
    try {
      // Half of the core is what checks and runs endpoints: a process that only publishes, or only imports the package, does without it.
      const { planEndpoints } = await import("./start-checks.js");
      const planned = planEndpoints(this.#settings, [...this.#definitions.values()]);
      await this.#open(planned);
      this.#assertGoingOn();
      const transport = await this.#connection.open();
      const { RunningEndpoint } = await import("../endpoint/running-endpoint.js");
      this.#assertGoingOn();
      const endpoints = planned.map(
        ({ plan, settings, definition }) => new RunningEndpoint(this.#context, plan, settings, definition.consumers),
      );
      this.#endpoints = endpoints;
      await Promise.all(endpoints.map((endpoint) => endpoint.start(transport)));
      this.#assertGoingOn();
      this.#health.life = "started";
    } catch (error) {
      // What was opened is closed again: a bus that could not start holds nothing.
      if (!this.#stopping) await this.stop({ deadline: 1000 });
      throw error;
    }
  }

  async #open(planned: readonly PlannedEndpoint[]): Promise<void> {
    const { store, service, namePrefix, logger, topology, publishes } = this.#settings;
    const transport = await this.#connection.open();
    const { checkCapabilities } = await import("./start-checks.js");
    checkCapabilities(transport, this.#settings, planned);
    if (planned.some(({ settings }) => settings.deduplication)) {
      this.#storeOpened = store.open(
        { service, namePrefix, logger, status: (status, reason) => this.#health.storeIs(status, reason) },
        this.#stopped.signal,
      );
      await this.#storeOpened;
      if (topology !== "none") await store.provision(topology);
    }
    const events = new Set([...publishes.map((type) => type.messageType), ...planned.flatMap(({ plan }) => plan.subscribed)]);
    await this.#connection.provision({ events: [...events], endpoints: planned.map(({ plan }) => plan) });
  }

  // A stop during the start wins: its promise waits for nobody.
  #assertGoingOn(): void {
    if (this.#stopping)
      throw new TrolleybusError("stopped", "The bus was stopped while it started.", { cause: undefined, retryable: false });
  }

  /** The order of P6: no new work, what is in flight ends (and may publish), then what is pending leaves, then the connections close. */
  async #stop(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    // Flushing and closing need a part of the time too.
    const handlersUntil = deadline - Math.min(2000, deadlineMs / 5);
    const endpoints = this.#endpoints;
    const drained = Promise.all([this.#visits.end(), ...endpoints.map((endpoint) => endpoint.drain())]);
    await this.#orUntil(handlersUntil, drained);
    for (const endpoint of endpoints) endpoint.abandon();
    this.#publisher.stop();
    await this.#orUntil(deadline - Math.min(500, deadlineMs / 20), Promise.all([drained, this.#sender.whenIdle()]));
    this.#stopped.abort();
    this.#sender.giveUp();
    await this.#orUntil(deadline, Promise.all(endpoints.map((endpoint) => endpoint.close(deadline))));
    await this.#orUntil(deadline, this.#connection.close(deadline));
    this.#context.leases.close();
    await this.#orUntil(deadline, this.#closeStore(deadline));
    this.#health.life = "stopped";
  }

  /** Only what this bus has opened: the store may be another bus's, which is why this one could not start. */
  async #closeStore(deadline: number): Promise<void> {
    const opened = await this.#storeOpened?.then(
      () => true,
      () => false,
    );
    if (opened) await this.#settings.store.close(deadline);
  }

  /** Waits for `work`, at most until `deadline` on the clock of `performance.now()`. A part that fails to stop keeps no other from stopping. */
  async #orUntil(deadline: number, work: Promise<unknown>): Promise<void> {
    const done = new AbortController();
    const worked = work
      .catch((error: unknown) => this.#settings.logger.error("A part of the bus failed while it stopped.", { error }))
      .finally(() => done.abort());
    await Promise.race([worked, delay(Math.max(0, deadline - performance.now()), done.signal)]);
  }

  #host(): TransportHost {
    const { service, namePrefix, logger } = this.#settings;
    return {
      service,
      namePrefix,
      logger,
      status: (part, status, reason) => {
        if ("publisher" in part) this.#health.publisherIs(status, reason);
        else this.#health.endpointIs(part.endpoint, status, reason);
      },
      lag: (endpoint, messages) => this.#health.lagIs(endpoint, messages),
    };
  }
}

function checkedStep<Step extends IncomingStep | OutgoingStep>(where: string, step: Step): Step {
  if (typeof step === "function") return step;
  throw configuration(`${where} is given ${show(step)}; a step is an async function (context, next).`);
}

function configuration(text: string): TrolleybusError {
  return new TrolleybusError("configuration", text, { cause: undefined, retryable: false });
}
