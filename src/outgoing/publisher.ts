import type { IEventBus, PublishOptions } from "../contracts/event-bus.js";
import type { OutgoingMessage } from "../contracts/transport.js";
import { PublishError, TrolleybusError } from "../errors.js";
import { show } from "../options/show.js";
import { mistakeInEndpointName } from "../util/names.js";
import { ambientOrigin } from "./ambient-origin.js";
import type { MessageComposer } from "./message-composer.js";
import type { Origin } from "./origin.js";
import type { PendingBudget } from "./pending-budget.js";
import type { Sender } from "./sender.js";

/** Decides whether a message leaves now, is held back by the run it is published in, or is refused. */
export class Publisher implements IEventBus {
  readonly #composer: MessageComposer;
  readonly #sender: Sender;
  readonly #budget: PendingBudget;
  readonly #joinsRuns: boolean;
  readonly #knownEndpoints = new Set<string>();
  #stopped = false;

  constructor(composer: MessageComposer, sender: Sender, budget: PendingBudget, joinsRuns: boolean) {
    this.#composer = composer;
    this.#sender = sender;
    this.#budget = budget;
    this.#joinsRuns = joinsRuns;
  }

  publish(message: object, options?: PublishOptions): Promise<void> {
    return this.submit(undefined, message, options, this.#ambientOrigin);
  }

  send(endpoint: string, message: object, options?: PublishOptions): Promise<void> {
    return this.submitCommand(endpoint, message, options, this.#ambientOrigin);
  }

  submitCommand(endpoint: string, message: object, options: PublishOptions | undefined, origin: Origin | undefined): Promise<void> {
    if (!this.#knownEndpoints.has(endpoint)) {
      const mistake = typeof endpoint === "string" ? mistakeInEndpointName(endpoint) : `it is ${show(endpoint)}.`;
      if (mistake) return Promise.reject(configuration(`send is given the name of an endpoint first; ${mistake}`));
      // Bounded, for the names may come from anywhere.
      if (this.#knownEndpoints.size < 1000) this.#knownEndpoints.add(endpoint);
    }
    return this.submit(endpoint, message, options, origin);
  }

  /** @param origin the run whose part this is; `undefined` for none */
  submit(destination: string | undefined, message: object, options: PublishOptions | undefined, origin: Origin | undefined): Promise<void> {
    try {
      if (this.#composer.hasSteps) {
        const dispatch = (outgoing: OutgoingMessage): Promise<void> => this.#dispatch(outgoing, options, origin);
        return this.#composer.composeThroughSteps(destination, message, options, origin, dispatch);
      }
      return this.#dispatch(this.#composer.compose(destination, message, options, origin), options, origin);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** From now on everything is refused with "stopped". */
  stop(): void {
    this.#stopped = true;
  }

  // A run of another bus is none of this one's: what it would hold, this one could not send.
  get #ambientOrigin(): Origin | undefined {
    const origin = this.#joinsRuns ? ambientOrigin.getStore() : undefined;
    return origin?.publisher === this ? origin : undefined;
  }

  #dispatch(outgoing: OutgoingMessage, options: PublishOptions | undefined, origin: Origin | undefined): Promise<void> {
    const { messageId, messageType } = outgoing.properties;
    if (origin?.phase === "failed") {
      return refuse(
        "run-ended",
        `${messageType} was not sent: the consumer it was published in has failed, timed out or lost its message, so what it does no longer counts.`,
        messageId,
        false,
      );
    }
    if (this.#stopped) return refuse("stopped", `${messageType} was not sent: the bus has stopped.`, messageId, false);
    if (options?.signal?.aborted) return refuse("timeout", `${messageType} was not sent: its signal had been aborted.`, messageId, true);
    const run = origin?.phase === "running" ? origin : undefined;
    const budget = run ? this.#budgetOf(run) : this.#budget;
    if (!budget.take()) return this.#refuseBeyond(budget, outgoing);
    if (run && !options?.immediately) {
      run.held.push(outgoing);
      return Promise.resolve();
    }
    return this.#sender.send(outgoing, budget, options?.signal);
  }

  #budgetOf(run: Origin): PendingBudget {
    run.budget ??= this.#budget.ofRun();
    return run.budget;
  }

  #refuseBeyond(budget: PendingBudget, { properties }: OutgoingMessage): Promise<never> {
    const { messageId, messageType } = properties;
    const why =
      budget === this.#budget
        ? `${budget.max} messages wait for the broker or are held back by handlers already (maxPendingPublishes). Await publishes, or look at health() for why the broker takes nothing.`
        : `the handler that it was published in has ${budget.max} messages held back or on their way already (maxPendingPublishes). Publish less in one run, or raise the limit.`;
    return refuse("unavailable", `${messageType} was not sent: ${why}`, messageId, true);
  }
}

function refuse(
  code: "stopped" | "run-ended" | "unavailable" | "timeout",
  text: string,
  messageId: string,
  retryable: boolean,
): Promise<never> {
  return Promise.reject(new PublishError(code, text, { cause: undefined, retryable, outcome: "refused", messageId }));
}

function configuration(text: string): TrolleybusError {
  return new TrolleybusError("configuration", text, { cause: undefined, retryable: false });
}
