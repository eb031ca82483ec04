import type { Deduplicator } from "./deduplicate.js";
import type { Dispatcher } from "./dispatch.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { Stage } from "./incoming-message.js";
import { dropHeld, sendHeld } from "./send-held.js";
import { begin, giveTurn, takeTurn } from "./take-turn.js";

/**
 * One run of a message: takes a turn, claims the message, runs its consumer, sends what that published, notes the message as done. With a
 * transactional store what was published is left to the step that commits.
 *
 * One function for the whole road, and no `await` where nothing has to be waited for: every function and every `await` more
 * would cost each message promises, which are what a run costs most of.
 */
export function runOnce(endpoint: EndpointContext, dispatcher: Dispatcher, deduplicator: Deduplicator | undefined): Stage {
  return async (message) => {
    const turn = takeTurn(endpoint, message);
    if (turn) await turn;
    try {
      begin(endpoint, message);
      const claimed = deduplicator?.claim(message);
      if (claimed) await claimed;
      if (message.duplicate) return;
      try {
        const running = dispatcher.dispatch(message);
        if (running) await running;
        const sent = deduplicator?.keepsHeld ? undefined : sendHeld(endpoint, message);
        if (sent) await sent;
      } catch (error) {
        dropHeld(endpoint, message);
        await deduplicator?.release(message);
        throw error;
      }
      const noted = deduplicator?.done(message);
      if (noted) await noted;
    } finally {
      giveTurn(endpoint);
    }
  };
}
