import type { DeadLetters } from "../contracts/dead-letters.js";
import type { Delivery, DeliverySink, EndpointPlan, OutgoingMessage, Receiver, Transport } from "../contracts/transport.js";
import { TrolleybusError } from "../errors.js";
import { show } from "../options/show.js";
import type { Sender } from "../outgoing/sender.js";
import { userHeaders } from "../pipeline/user-headers.js";
import { Mistakes } from "../util/mistakes.js";
import { isOptionsObject } from "../util/options-object.js";
import { readDeadLetter } from "./read-dead-letter.js";
import type { Visits } from "./visits.js";

type Decide = Parameters<DeadLetters["process"]>[0];
type Tally = { replayed: number; dropped: number; kept: number };

const PREFETCH = 16;

/** The dead letters of one endpoint: received like anything else, one after the other, and sent back by the ordinary road. */
export class DeadLetterBox implements DeadLetters {
  readonly #endpoint: string;
  readonly #open: () => Promise<Transport>;
  readonly #sender: Sender;
  readonly #visits: Visits;

  constructor(endpoint: string, open: () => Promise<Transport>, sender: Sender, visits: Visits) {
    this.#endpoint = endpoint;
    this.#open = open;
    this.#sender = sender;
    this.#visits = visits;
  }

  process(decide: Decide, options: { readonly limit?: number } = {}): Promise<Tally> {
    return this.#visits.during(this.#process(decide, options));
  }

  async #process(decide: Decide, options: { readonly limit?: number }): Promise<Tally> {
    if (!isOptionsObject(options)) throw wrong(`its options are ${show(options)}; they are an object: { limit }.`);
    const mistakes = new Mistakes();
    mistakes.unknownKeys("deadLetters().process", options, ["limit"]);
    mistakes.throwIfAny("The dead letters cannot be processed");
    const limit = options.limit ?? Number.POSITIVE_INFINITY;
    if (typeof decide !== "function")
      throw wrong(`process is given ${show(decide)}; it is a function that answers "replay", "drop" or "keep".`);
    if (options.limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 1))
      throw wrong(`limit is ${show(options.limit)}; it is a whole number from 1 on.`);
    const transport = await this.#open();
    const queue = new LetterQueue(this.#visits.ending);
    const plan: EndpointPlan = { name: this.#endpoint, subscribed: [], unsubscribed: [], retryDelaysMs: [], order: "none" };
    const tally: Tally = { replayed: 0, dropped: 0, kept: 0 };
    let receiver: Receiver | undefined;
    try {
      receiver = await transport.receive({ endpoint: plan, from: "dead-letter", prefetch: PREFETCH }, queue);
      for (let met = 0; met < limit; met++) {
        const delivery = await queue.next();
        if (!delivery) break;
        await this.#decide(delivery, decide, tally);
      }
      return tally;
    } finally {
      await leave(receiver, queue);
    }
  }

  async #decide(delivery: Delivery, decide: Decide, tally: Tally): Promise<void> {
    let decision: "replay" | "drop" | "keep";
    try {
      decision = await decide(readDeadLetter(delivery, this.#endpoint));
      if (decision !== "replay" && decision !== "drop" && decision !== "keep")
        throw wrong(`decide answered ${show(decision)}; it answers "replay", "drop" or "keep".`);
      // Lost while it was decided about, the letter stays where it was: replayed, it would be both there and here.
      if (decision !== "keep" && delivery.isLost) decision = "keep";
      if (decision === "replay") await this.#replay(delivery);
    } catch (error) {
      // What cannot be given back now comes back when the receiver closes; why it ended here is what counts.
      await delivery.release().catch(() => {});
      throw error;
    }
    if (decision === "keep") await delivery.release();
    const isGone = decision !== "keep" && delivery.complete() === "settled";
    if (decision === "replay") tally.replayed++;
    else if (isGone) tally.dropped++;
    else tally.kept++;
  }

  /** Confirmed before the letter is taken away: in between it may be both. */
  async #replay(delivery: Delivery): Promise<void> {
    const { body, headers, properties } = delivery;
    const message: OutgoingMessage = {
      to: { endpoint: this.#endpoint },
      body,
      properties: {
        messageId: properties.messageId ?? "",
        messageType: properties.messageType ?? "",
        contentType: properties.contentType ?? "",
        correlationId: properties.correlationId ?? "",
        partitionKey: properties.partitionKey,
      },
      headers: userHeaders(headers),
      replayOf: delivery,
    };
    const [failed] = await this.#sender.sendInOrder([message]);
    if (failed) throw failed;
  }
}

async function leave(receiver: Receiver | undefined, queue: LetterQueue): Promise<void> {
  const stopping = receiver?.stop();
  // Closing gives back what is left, also where one of these fails.
  await Promise.allSettled([stopping, ...queue.end().map((delivery) => delivery.release())]);
  await receiver?.close(performance.now() + 5000);
}

/** Deliveries on their way from the transport to the one who decides. */
class LetterQueue implements DeliverySink {
  readonly #letters: Delivery[] = [];
  readonly #ending: AbortSignal;
  readonly #onEnding = (): void => this.#wake?.();
  #exhausted = false;
  #wake: (() => void) | undefined;

  constructor(ending: AbortSignal) {
    this.#ending = ending;
    ending.addEventListener("abort", this.#onEnding, { once: true });
  }

  deliver(delivery: Delivery): void {
    this.#letters.push(delivery);
    this.#wake?.();
  }

  exhausted(): void {
    this.#exhausted = true;
    this.#wake?.();
  }

  /** The next letter; `undefined` when there is none left. @throws TrolleybusError "stopped" */
  async next(): Promise<Delivery | undefined> {
    while (this.#letters.length === 0 && !this.#exhausted && !this.#ending.aborted) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#ending.aborted)
      throw new TrolleybusError("stopped", "The bus was stopped while dead letters were processed; those that were not reached are kept.", {
        cause: undefined,
        retryable: false,
      });
    return this.#letters.shift();
  }

  /** Nothing more is waited for; what has not been reached is given back by the caller. */
  end(): readonly Delivery[] {
    this.#ending.removeEventListener("abort", this.#onEnding);
    return this.#letters.splice(0);
  }
}

function wrong(text: string): TrolleybusError {
  return new TrolleybusError("configuration", `deadLetters().process: ${text}`, { cause: undefined, retryable: false });
}
