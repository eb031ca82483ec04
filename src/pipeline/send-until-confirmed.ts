import type { OutgoingMessage } from "../contracts/transport.js";
import type { PublishError } from "../errors.js";
import type { EndpointContext } from "./endpoint-context.js";

/**
 * Sends what a handler published, again and again with the same ids, until the broker has confirmed it: that the broker takes nothing
 * is no failure of the handler. Resolves with what was refused for good: trying again would hold up the endpoint for what cannot pass by itself
 * (no such endpoint, too large, no right to write there), and whose message fails for it the retries have their say.
 */
export async function sendUntilConfirmed(
  endpoint: EndpointContext,
  messages: readonly OutgoingMessage[],
): Promise<readonly PublishError[]> {
  const { sender } = endpoint.bus;
  const refused: PublishError[] = [];
  let left = messages;
  const send = async (): Promise<void> => {
    const outcomes = await sender.sendInOrder(left);
    for (const outcome of outcomes) if (outcome && isFinal(outcome)) refused.push(outcome);
    left = left.filter((_, index) => {
      const outcome = outcomes[index];
      return outcome !== undefined && !isFinal(outcome);
    });
    const trouble = outcomes.find((outcome) => outcome && !isFinal(outcome));
    if (trouble) throw trouble;
  };
  try {
    await send();
  } catch (error) {
    await endpoint.trouble.until("the broker does not take what a handler published", error, send);
  }
  return refused;
}

// That the bus stops says nothing of the message.
const isFinal = (error: PublishError): boolean => !error.retryable && error.code !== "stopped";
