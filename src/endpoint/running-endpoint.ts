import { setMaxListeners } from "node:events";
import type { Health } from "../contracts/health.js";
import type { Delivery, DeliverySink, EndpointPlan, Receiver, Transport } from "../contracts/transport.js";
import type { EndpointSettings } from "../options/endpoint-settings.js";
import { decode } from "../pipeline/decode.js";
import { Deduplicator } from "../pipeline/deduplicate.js";
import { Dispatcher } from "../pipeline/dispatch.js";
import type { BusContext, Counts, EndpointContext } from "../pipeline/endpoint-context.js";
import { IncomingMessage, pipeline, type Stage } from "../pipeline/incoming-message.js";
import { keepLaneOrder } from "../pipeline/keep-lane-order.js";
import { retry } from "../pipeline/retry.js";
import { runOnce } from "../pipeline/run-once.js";
import { Settler } from "../pipeline/settler.js";
import type { ConsumerRegistry } from "./consumer-registry.js";
import { Lanes } from "./lanes.js";
import { RememberedRetries } from "./remembered-retries.js";
import { Trouble } from "./trouble.js";
import { Turns } from "./turns.js";

/** An endpoint at work: receives, sends each delivery down the pipeline, stops in the order of P6. */
export class RunningEndpoint implements EndpointContext, DeliverySink {
  readonly bus: BusContext;
  readonly plan: EndpointPlan;
  readonly settings: EndpointSettings;
  readonly consumers: ConsumerRegistry;
  readonly turns: Turns;
  readonly lanes: Lanes = new Lanes();
  readonly trouble: Trouble;
  readonly remembered: RememberedRetries = new RememberedRetries();
  readonly counts: Counts = { handled: 0, retried: 0, deadLettered: 0, duplicates: 0, stale: 0 };
  readonly #closing = new AbortController();
  readonly #abandoned = new AbortController();
  readonly #dispatcher: Dispatcher;
  readonly #handle: Stage;
  readonly #settler: Settler;
  /** Their road has ended within the call that delivered them. */
  #over: IncomingMessage[] = [];
  #receiving: Promise<Receiver> | undefined;
  #receiver: Receiver | undefined;
  #inFlight = 0;
  #whenIdle: (() => void) | undefined;

  constructor(bus: BusContext, plan: EndpointPlan, settings: EndpointSettings, consumers: ConsumerRegistry) {
    this.bus = bus;
    this.plan = plan;
    this.settings = settings;
    this.consumers = consumers;
    // Everything that waits listens to them.
    setMaxListeners(0, this.closing, this.abandoned);
    this.turns = new Turns(settings.concurrency);
    this.trouble = new Trouble(plan.name, this.turns, bus.logger, this.abandoned);
    this.#dispatcher = new Dispatcher(this);
    const { deduplication } = settings;
    const deduplicator = deduplication && new Deduplicator(this, deduplication.windowMs);
    // The steps in their order: each is around all that follow.
    const steps = [decode(this), keepLaneOrder(this), retry(this)];
    this.#handle = pipeline(steps, runOnce(this, this.#dispatcher, deduplicator));
    this.#settler = new Settler(this);
  }

  get name(): string {
    return this.plan.name;
  }
  get closing(): AbortSignal {
    return this.#closing.signal;
  }
  get abandoned(): AbortSignal {
    return this.#abandoned.signal;
  }

  async start(transport: Transport): Promise<void> {
    this.#receiving = transport.receive({ endpoint: this.plan, from: "endpoint", prefetch: this.settings.prefetch }, this);
    this.#receiver = await this.#receiving;
  }

  deliver(delivery: Delivery): void {
    this.#inFlight++;
    const message = new IncomingMessage(delivery);
    let running: Promise<void> | undefined;
    try {
      running = this.#handle(message);
    } catch (error) {
      this.#settler.blame(message, error);
    }
    if (running) this.#settleAfter(message, running).then(this.#ended, this.#failed);
    // An adapter may still be busy with the delivery that it hands over, so nothing is settled within the call.
    else if (this.#over.push(message) === 1) queueMicrotask(this.#settleOver);
  }

  async #settleAfter(message: IncomingMessage, running: Promise<void>): Promise<void> {
    try {
      await running;
    } catch (error) {
      this.#settler.blame(message, error);
    }
    const settling = this.#settler.settle(message);
    if (settling) await settling;
  }

  readonly #settleOver = (): void => {
    const over = this.#over;
    this.#over = [];
    for (const message of over) {
      try {
        const settling = this.#settler.settle(message);
        if (settling) settling.then(this.#ended, this.#failed);
        else this.#ended();
      } catch (error) {
        this.#failed(error);
      }
    }
  };

  /** Only dead letters end. */
  exhausted(): void {}

  readonly #ended = (): void => {
    if (--this.#inFlight === 0) this.#whenIdle?.();
  };

  readonly #failed = (error: unknown): void => {
    this.bus.logger.error(
      `A delivery at endpoint "${this.name}" could not be settled; the broker gives it to another when this process leaves.`,
      {
        error,
      },
    );
    this.#ended();
  };

  /** Ends the run of a message whose claim another has now. */
  claimLost(message: IncomingMessage): void {
    if (message.run) this.#dispatcher.abandonRun(message.run);
  }

  /** Takes no new work; resolves when what is in flight has ended. */
  async drain(): Promise<void> {
    // First, for what is given back while more may come would come straight back.
    const stopped = this.#receiver ? this.#receiver.stop() : this.#receiving?.then((receiver) => receiver.stop());
    this.#closing.abort();
    this.turns.close();
    try {
      await stopped;
    } catch (error) {
      // When it did not even begin to receive, the start has told why.
      if (this.#receiver) this.bus.logger.warn(`The receiver of endpoint "${this.name}" did not stop cleanly.`, { error });
    }
    if (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
  }

  /** Ends what is still in flight: its messages go back. */
  abandon(): void {
    this.turns.abandon();
    this.#dispatcher.abandon();
    this.#abandoned.abort();
  }

  async close(deadline: number): Promise<void> {
    await this.#receiver?.close(deadline);
  }

  /** @param transport what the adapter says of the endpoint */
  health(transport: {
    readonly status: "up" | "degraded" | "down";
    readonly reason: string | undefined;
    readonly lag: number | undefined;
  }): Health["endpoints"][number] {
    const { strays, stalled } = this.turns;
    const told = { name: this.name, inFlight: this.#inFlight, strays, lag: transport.lag, counts: { ...this.counts } };
    if (transport.status === "down") return { ...told, status: "down", reason: transport.reason };
    if (stalled)
      return {
        ...told,
        status: "stalled",
        reason: `${strays} handlers ignored their time-out and still run; nothing more is taken until one ends`,
      };
    const reason = this.trouble.reason ?? (transport.status === "degraded" ? transport.reason : undefined);
    return { ...told, status: reason === undefined ? "up" : "paused", reason };
  }
}
