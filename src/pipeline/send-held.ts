import type { EndpointContext } from "./endpoint-context.js";
import type { PipelineStep } from "./incoming-message.js";
import { sendUntilConfirmed } from "./send-until-confirmed.js";

/**
 * Sends what the handler published, after it has succeeded and before anything else is told so; drops it when the handler failed.
 * With a transactional store what is held is left to the step that commits.
 */
export function sendHeld(endpoint: EndpointContext, leaveToStore: boolean): PipelineStep {
  const { budget } = endpoint.bus;
  return async (message, next) => {
    try {
      await next(message);
    } catch (error) {
      budget.give(message.run?.held.splice(0).length ?? 0);
      throw error;
    }
    const { run } = message;
    if (!run || leaveToStore || run.held.length === 0) return;
    const held = run.held.splice(0);
    try {
      const [refused] = await sendUntilConfirmed(endpoint, held);
      if (refused) throw refused;
    } finally {
      budget.give(held.length);
    }
  };
}
