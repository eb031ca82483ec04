import type { DeadLetterOptions, ServiceBusReceivedMessage } from "@azure/service-bus";
import type { FailureHeaders } from "../../src/contracts/transport.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { cutToBytes } from "../../src/util/cut-to-bytes.js";
import { DeadlineQueue, type Timed } from "../../src/util/deadline-queue.js";
import { delay } from "../../src/util/delay.js";
import { shortDetails } from "../../src/util/store-copy.js";
import type { ManagedClient } from "./connection.js";
import type { ServiceBusDelivery, Verdict } from "./delivery.js";
import type { DirectLink } from "./direct-link.js";
import { AzureServiceBusError, isLockLost, serviceAnswer, textOf } from "./errors.js";
import { LinkCompletion } from "./link-completion.js";
import { RELEASED, releasesOf } from "./mapping.js";
import { OutcomeTurns } from "./outcome-turns.js";
import { notAnswered } from "./time-limit.js";

/** What can settle a message of its entity: the receiver that it came by, or any other. */
export interface SettlingReceiver {
  completeMessage(message: ServiceBusReceivedMessage): Promise<void>;
  abandonMessage(message: ServiceBusReceivedMessage, propertiesToModify?: Record<string, number | string>): Promise<void>;
  deadLetterMessage(message: ServiceBusReceivedMessage, options?: DeadLetterOptions & Record<string, string>): Promise<void>;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
/** What the service takes as reason and as description. */
const MAX_REASON_BYTES = 256;
const MAX_DESCRIPTION_BYTES = 4096;
/** What was told to the broker, which has not answered yet. */
interface Telling extends Timed {
  readonly giveUp: () => void;
}

/** Tells the broker what became of messages, as often as it takes while their locks last. */
export class Settler {
  readonly #connection: ManagedClient;
  readonly #turns = new OutcomeTurns();
  readonly #tellings: DeadlineQueue<Telling>;
  readonly #completions: DeadlineQueue<LinkCompletion>;
  #pending = 0;
  #idle: (() => void)[] = [];

  constructor(connection: ManagedClient) {
    this.#connection = connection;
    this.#tellings = new DeadlineQueue(2 * connection.requestTimeoutMs, ({ giveUp }) => giveUp());
    this.#completions = new DeadlineQueue(connection.requestTimeoutMs, (completion) => completion.giveUp());
  }

  /**
   * @param receiver asked for at each try, since a link may have gone since the last
   * @throws AzureServiceBusError when the broker refuses for another reason than a lost lock
   */
  async settle(delivery: ServiceBusDelivery, verdict: Verdict, receiver: () => SettlingReceiver): Promise<"settled" | "lost"> {
    this.#pending++;
    try {
      return await this.#settle(delivery, verdict, receiver);
    } finally {
      this.#ended();
    }
  }

  /** Completes by the link that brought the message, and where that does not go, by the client. The delivery is told what came of it. */
  completeByLink(delivery: ServiceBusDelivery, link: DirectLink): void {
    this.#pending++;
    this.#turns.add(new LinkCompletion(delivery, link, this.#connection, this.#completions, this.#ended));
  }

  /** Resolves when nothing is being settled. */
  async whenIdle(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  readonly #ended = (): void => {
    if (--this.#pending === 0) for (const tell of this.#idle.splice(0)) tell();
  };

  async #settle(delivery: ServiceBusDelivery, verdict: Verdict, receiver: () => SettlingReceiver): Promise<"settled" | "lost"> {
    let isShort = false;
    for (let attempt = 0; !delivery.isLost; attempt++) {
      const { client } = this.#connection;
      try {
        await this.#told(verdict, () => tell(receiver(), delivery.message, verdict, isShort));
        this.#connection.heard();
        return "settled";
      } catch (error) {
        this.#connection.failed(error, client);
        if (isLockLost(error)) return "lost";
        // A second try finds the first, whose answer was lost.
        if (/already settled/i.test(textOf(error))) return "settled";
        if (this.#connection.isClosing) return "lost";
        const refusal = refusalIn(error);
        if (refusal && verdict.as === "dead-letter" && !isShort) isShort = true;
        else if (refusal) throw refusal;
        else await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#connection.closing, delivery.lost);
      }
    }
    return "lost";
  }

  /** One timer for all of them: there is one for each message. */
  #told(verdict: Verdict, tellBroker: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        this.#tellings.delete(telling);
        reject(error);
      };
      const telling: Telling = {
        startedAt: performance.now(),
        giveUp: () => reject(notAnswered(2 * this.#connection.requestTimeoutMs)),
      };
      this.#tellings.add(telling);
      const tell = (): void => {
        try {
          tellBroker().then(() => {
            this.#tellings.delete(telling);
            resolve();
          }, fail);
        } catch (error) {
          fail(error);
        }
      };
      this.#turns.add({ isAlone: verdict.as !== "complete", tell });
    });
  }
}

function tell(receiver: SettlingReceiver, message: ServiceBusReceivedMessage, verdict: Verdict, isShort: boolean): Promise<void> {
  if (verdict.as === "complete") return receiver.completeMessage(message);
  // The broker counts it as a delivery that failed: how often it was none, the message itself carries.
  if (verdict.as === "release") return receiver.abandonMessage(message, { [RELEASED]: releasesOf(message) + 1 });
  return receiver.deadLetterMessage(message, lettered(isShort ? shortDetails(verdict.failure) : verdict.failure));
}

function lettered(failure: FailureHeaders): DeadLetterOptions & Record<string, string> {
  const name = failure["tb-error-name"];
  const text = failure["tb-error-message"] ?? "";
  return {
    ...failure,
    deadLetterReason: cutToBytes(failure["tb-reason"] ?? "failed", MAX_REASON_BYTES),
    deadLetterErrorDescription: cutToBytes(name === undefined ? text : `${name}: ${text}`, MAX_DESCRIPTION_BYTES),
  };
}

/** Only what the broker will answer again, however often it is asked. */
function refusalIn(error: unknown): AzureServiceBusError | undefined {
  const { code, text } = serviceAnswer(error);
  if (code !== "MessageSizeExceeded" && !/not-allowed|not-implemented|InvalidOperation|ArgumentError|ArgumentOutOfRange/i.test(text))
    return undefined;
  return new AzureServiceBusError("refused", `Azure Service Bus does not take the answer for a message: ${text}`, {
    retryable: true,
    cause: error,
  });
}
