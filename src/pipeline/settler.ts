import type { FailureHeaders } from "../contracts/transport.js";
import { TrolleybusError } from "../errors.js";
import { failureHeaders } from "../retry/failure-headers.js";
import { readFailureHistory } from "../retry/failure-history.js";
import { Abandoned } from "./control.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { IncomingMessage } from "./incoming-message.js";

type Answer = "settled" | "lost";

/**
 * The end of the road: tells the transport once what becomes of the delivery, and repeats it while the broker does not take it. What cannot
 * be told before the bus has to leave stays unsettled: the broker gives it to another.
 */
export class Settler {
  readonly #endpoint: EndpointContext;

  constructor(endpoint: EndpointContext) {
    this.#endpoint = endpoint;
  }

  /** `undefined` when it is told within the call. @throws what the transport's own defect is */
  settle(message: IncomingMessage): Promise<void> | undefined {
    const { counts } = this.#endpoint;
    if (message.settlement.as !== "complete") return this.#settleByCopy(message);
    if (message.delivery.complete() === "lost") counts.stale++;
    if (message.duplicate) counts.duplicates++;
    else counts.handled++;
    return undefined;
  }

  /** Only a defect of ours is thrown by the steps. Given back, the message would meet it again at once, for ever; among the dead letters it is safe. */
  blame(message: IncomingMessage, error: unknown): void {
    const { bus, name } = this.#endpoint;
    bus.logger.error(`A step of the bus failed at endpoint "${name}"; its message is dead-lettered.`, { error });
    const { delivery } = message;
    const history = readFailureHistory(delivery.headers);
    const failure = failureHeaders({ reason: "failed", error, history, endpoint: name, source: delivery.source, now: new Date() });
    message.settlement = { as: "dead-letter", failure };
  }

  async #settleByCopy(message: IncomingMessage): Promise<void> {
    const { counts } = this.#endpoint;
    const answer = await this.#tell(message).catch(ignoreAbandoned);
    const { settlement } = message;
    if (answer === "lost") counts.stale++;
    else if (answer === "settled" && settlement.as === "retry") counts.retried++;
    else if (answer === "settled" && settlement.as === "dead-letter") {
      counts.deadLettered++;
      this.#logDeadLetter(message, settlement.failure);
    }
  }

  async #tell(message: IncomingMessage): Promise<Answer> {
    const answer = async (): Promise<Answer> => {
      const { delivery, settlement } = message;
      if (settlement.as === "dead-letter") return delivery.deadLetter(settlement.failure);
      if (settlement.as !== "retry") return delivery.release();
      try {
        return await delivery.retry(settlement.delayMs, settlement.failure);
      } catch (error) {
        if (!isTooLarge(error)) throw error;
        this.#logTooLarge(message, error);
        message.settlement = { as: "dead-letter", failure: settlement.failure };
        return delivery.deadLetter(settlement.failure);
      }
    };
    try {
      return await answer();
    } catch (error) {
      return this.#endpoint.trouble.until(`the broker does not take a ${message.settlement.as}`, error, answer);
    }
  }

  #logTooLarge(message: IncomingMessage, error: TrolleybusError): void {
    const { messageType, messageId } = message.envelope ?? message.delivery.properties;
    this.#endpoint.bus.logger.error(
      `${messageType ?? "A message"} at endpoint "${this.#endpoint.name}" cannot be stored for a retry, and never will be; it is dead-lettered instead: ${error.message}`,
      { messageId },
    );
  }

  #logDeadLetter(message: IncomingMessage, failure: FailureHeaders): void {
    const { bus, name } = this.#endpoint;
    const { messageType, messageId } = message.envelope ?? message.delivery.properties;
    bus.logger.warn(
      `${messageType ?? "A message"} was dead-lettered at endpoint "${name}": ${failure["tb-reason"]}, ${failure["tb-error-message"]}`,
      {
        messageId,
        attempts: failure["tb-attempts"],
      },
    );
  }
}

/** Its copy has more headers than it came with, and another client may have left no room for them. */
function isTooLarge(error: unknown): error is TrolleybusError {
  return error instanceof TrolleybusError && error.code === "too-large";
}

function ignoreAbandoned(error: unknown): undefined {
  if (!(error instanceof Abandoned)) throw error;
  return undefined;
}
