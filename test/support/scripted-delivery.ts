import type { Delivery, FailureHeaders, NativeProperties } from "../../src/contracts/transport.js";
import type { Envelope } from "../../src/contracts/wire-format.js";
import { cloudEvents } from "../../src/wire/cloud-events.js";

/** How a delivery was answered in the end. */
export type Answer =
  | { readonly verb: "complete" | "release" }
  | { readonly verb: "deadLetter"; readonly failure: FailureHeaders }
  | { readonly verb: "retry"; readonly delayMs: number; readonly failure: FailureHeaders };

export interface DeliveryParts {
  readonly body?: Uint8Array;
  readonly properties?: Partial<NativeProperties>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly suspicion?: Delivery["suspicion"];
  /** So many answers are refused before one is taken. */
  readonly refusals?: number;
  /** What each call of `retry` rejects with: the broker cannot keep the copy. */
  readonly retryError?: Error;
}

/** A delivery that does what the test says, and holds the core to the rule: one verb, once, unless it was refused. */
export class ScriptedDelivery implements Delivery {
  readonly body: Uint8Array;
  readonly properties: Partial<NativeProperties>;
  readonly headers: Readonly<Record<string, string>>;
  readonly source = "scripted";
  readonly suspicion: Delivery["suspicion"];
  /** Calls of verbs, refused ones too. */
  readonly calls: Answer["verb"][] = [];
  readonly #loss = new AbortController();
  readonly #onAnswer: (delivery: ScriptedDelivery, answer: Answer) => void;
  #refusals: number;
  readonly #retryError: Error | undefined;
  #answer: Answer | undefined;
  #resolveAnswer: (answer: Answer) => void = () => {};
  /** Resolves when it is answered. */
  readonly answered: Promise<Answer>;

  constructor(parts: DeliveryParts, onAnswer: (delivery: ScriptedDelivery, answer: Answer) => void = () => {}) {
    this.body = parts.body ?? new Uint8Array();
    this.properties = parts.properties ?? {};
    this.headers = parts.headers ?? {};
    this.suspicion = parts.suspicion ?? "none";
    this.#refusals = parts.refusals ?? 0;
    this.#retryError = parts.retryError;
    this.#onAnswer = onAnswer;
    this.answered = new Promise((resolve) => {
      this.#resolveAnswer = resolve;
    });
  }

  get lost(): AbortSignal {
    return this.#loss.signal;
  }
  get isLost(): boolean {
    return this.#loss.signal.aborted;
  }
  get answer(): Answer | undefined {
    return this.#answer;
  }

  /** The broker takes it away. */
  lose(): void {
    this.#loss.abort();
  }

  complete(): "settled" | "lost" {
    return this.#settle({ verb: "complete" });
  }
  async retry(delayMs: number, failure: FailureHeaders): Promise<"settled" | "lost"> {
    return this.#settle({ verb: "retry", delayMs, failure });
  }
  async deadLetter(failure: FailureHeaders): Promise<"settled" | "lost"> {
    return this.#settle({ verb: "deadLetter", failure });
  }
  async release(): Promise<"settled" | "lost"> {
    return this.#settle({ verb: "release" });
  }

  #settle(answer: Answer): "settled" | "lost" {
    if (this.#answer) throw new Error(`${answer.verb} was called on a delivery that was answered with ${this.#answer.verb}`);
    this.calls.push(answer.verb);
    if (answer.verb === "retry" && this.#retryError) throw this.#retryError;
    if (!this.isLost && this.#refusals-- > 0) throw new Error("the broker takes nothing at the moment");
    this.#answer = answer;
    this.#onAnswer(this, answer);
    this.#resolveAnswer(answer);
    return this.isLost ? "lost" : "settled";
  }
}

/** The body of a message as another service would have sent it. */
export function bodyOf(messageType: string, data: unknown, changes: Partial<Envelope> = {}): Uint8Array {
  const messageId = changes.messageId ?? "m1";
  return cloudEvents
    .encode({
      messageId,
      messageType,
      source: "elsewhere",
      sentAt: new Date("2026-01-02T03:04:05.678Z"),
      correlationId: messageId,
      conversationId: messageId,
      causationId: undefined,
      partitionKey: undefined,
      traceparent: undefined,
      tracestate: undefined,
      data,
      ...changes,
    })
    .body.slice();
}
