import type { FailureHeaders } from "../contracts/transport.js";
import { failureHeaders } from "../retry/failure-headers.js";
import { readFailureHistory } from "../retry/failure-history.js";
import { Abandoned } from "./control.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { IncomingMessage, PipelineStep } from "./incoming-message.js";

type Answer = "settled" | "lost";

/**
 * The outermost step: tells the transport once what becomes of the delivery, and repeats it while the broker does not take it. What cannot
 * be told before the bus has to leave stays unsettled: the broker gives it to another.
 */
export function settle(endpoint: EndpointContext): PipelineStep {
  const { counts, trouble, bus } = endpoint;
  return async (message, next) => {
    try {
      await next(message);
    } catch (error) {
      // Only a defect of ours ends here. Given back, the message would meet it again at once, for ever; among the dead letters it is safe.
      bus.logger.error(`A step of the bus failed at endpoint "${endpoint.name}"; its message is dead-lettered.`, { error });
      message.settlement = { as: "dead-letter", failure: defectOf(message, error) };
    }
    const { delivery, settlement } = message;
    if (settlement.as === "complete") {
      if (delivery.complete() === "lost") counts.stale++;
      if (message.duplicate) counts.duplicates++;
      else counts.handled++;
      return;
    }
    const answer = await tell(message).catch(ignoreAbandoned);
    if (answer === "lost") counts.stale++;
    else if (answer === "settled" && settlement.as === "retry") counts.retried++;
    else if (answer === "settled" && settlement.as === "dead-letter") {
      counts.deadLettered++;
      logDeadLetter(message, settlement.failure);
    }
  };

  async function tell(message: IncomingMessage): Promise<Answer> {
    const answer = (): Promise<Answer> => {
      const { delivery, settlement } = message;
      if (settlement.as === "retry") return delivery.retry(settlement.delayMs, settlement.failure);
      if (settlement.as === "dead-letter") return delivery.deadLetter(settlement.failure);
      return delivery.release();
    };
    try {
      return await answer();
    } catch (error) {
      return trouble.until(`the broker does not take a ${message.settlement.as}`, error, answer);
    }
  }

  function logDeadLetter(message: IncomingMessage, failure: FailureHeaders): void {
    const { messageType, messageId } = message.envelope ?? message.delivery.properties;
    bus.logger.warn(
      `${messageType ?? "A message"} was dead-lettered at endpoint "${endpoint.name}": ${failure["tb-reason"]}, ${failure["tb-error-message"]}`,
      {
        messageId,
        attempts: failure["tb-attempts"],
      },
    );
  }

  function defectOf({ delivery }: IncomingMessage, error: unknown): FailureHeaders {
    const history = readFailureHistory(delivery.headers);
    return failureHeaders({ reason: "failed", error, history, endpoint: endpoint.name, source: delivery.source, now: new Date() });
  }
}

function ignoreAbandoned(error: unknown): undefined {
  if (!(error instanceof Abandoned)) throw error;
  return undefined;
}
