import type { FailureReason } from "../contracts/dead-letters.js";
import { failureHeaders } from "../retry/failure-headers.js";
import { readFailureHistory } from "../retry/failure-history.js";
import { RunFailure } from "./control.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { IncomingMessage, PipelineStep } from "./incoming-message.js";

/** Reads the envelope. What cannot be read, is too large, or has killed the process too often is dead-lettered without a run. */
export function decode(endpoint: EndpointContext): PipelineStep {
  const { formats, maxMessageBytes } = endpoint.bus;
  return (message, next) => {
    const { delivery } = message;
    const { body } = delivery;
    if (delivery.suspicion === "crashed") {
      return giveUp(
        endpoint,
        message,
        "crashed",
        "Each time this message was handled, its process ended; it was then run alone, with the same result.",
      );
    }
    if (body.byteLength > maxMessageBytes()) {
      return giveUp(
        endpoint,
        message,
        "too-large",
        `The message has ${body.byteLength} bytes; at most ${maxMessageBytes()} are taken (maxMessageBytes).`,
      );
    }
    try {
      message.envelope = formats.decode(body, delivery.properties, delivery.headers);
    } catch (error) {
      return giveUp(endpoint, message, "undecodable", error);
    }
    return next(message);
  };
}

function giveUp(endpoint: EndpointContext, message: IncomingMessage, reason: FailureReason, error: unknown): undefined {
  const { delivery } = message;
  const failure = failureHeaders({
    reason,
    error: typeof error === "string" ? new RunFailure(reason, error) : error,
    history: readFailureHistory(delivery.headers),
    endpoint: endpoint.name,
    source: delivery.source,
    now: new Date(),
  });
  message.settlement = { as: "dead-letter", failure };
}
