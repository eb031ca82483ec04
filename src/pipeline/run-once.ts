import { processLoop } from "../endpoint/loop-turn.js";
import type { Deduplicator } from "./deduplicate.js";
import type { Dispatcher } from "./dispatch.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { IncomingMessage, Stage } from "./incoming-message.js";
import { dropHeld, sendHeld } from "./send-held.js";
import { begin, giveTurn, takeTurn } from "./take-turn.js";

/**
 * One run of a message: takes a turn, claims the message, runs its consumer, sends what that published, notes the message as done. With a
 * transactional store what was published is left to the step that commits.
 *
 * What has to be waited for is waited for in a function of its own: most messages meet nothing of the kind, and every promise would cost
 * them as much as all the rest.
 */
export function runOnce(endpoint: EndpointContext, dispatcher: Dispatcher, deduplicator: Deduplicator | undefined): Stage {
  return (message) => {
    const turn = takeTurn(endpoint, message);
    return turn ? afterTurn(message, turn) : inTurn(message);
  };

  async function afterTurn(message: IncomingMessage, turn: Promise<void>): Promise<void> {
    await turn;
    await inTurn(message);
  }

  function inTurn(message: IncomingMessage): Promise<void> | undefined {
    let running: Promise<void> | undefined;
    try {
      begin(endpoint, message);
      const claimed = deduplicator?.claim(message);
      running = claimed ? after(claimed, message, claimedRun) : claimedRun(message);
    } catch (error) {
      giveTurn(endpoint);
      throw error;
    }
    if (!running) giveTurn(endpoint);
    return running;
  }

  /** Goes on when what stands before it is over. */
  async function after(before: Promise<void>, message: IncomingMessage, goOn: Stage): Promise<void> {
    let running: Promise<void> | undefined;
    try {
      await before;
      running = goOn(message);
    } catch (error) {
      giveTurn(endpoint);
      throw error;
    }
    if (running) await running;
    else giveTurn(endpoint);
  }

  /** Gives the turn itself when it takes longer than the call, and only then. */
  function claimedRun(message: IncomingMessage): Promise<void> | undefined {
    if (message.duplicate) return undefined;
    return processLoop.tryEnter() ? run(message) : after(processLoop.enter(), message, run);
  }

  function run(message: IncomingMessage): Promise<void> | undefined {
    let running: Promise<void> | undefined;
    try {
      running = dispatcher.dispatch(message) ?? sendOf(message);
    } catch (error) {
      return untilOver(undo(message, error));
    }
    if (running) return afterRun(message, running);
    const noted = deduplicator?.done(message);
    return noted && untilOver(noted);
  }

  async function afterRun(message: IncomingMessage, running: Promise<void>): Promise<void> {
    try {
      try {
        await running;
        // It may have been the sending already, of which nothing is left then.
        const sent = sendOf(message);
        if (sent) await sent;
      } catch (error) {
        await undo(message, error);
      }
      const noted = deduplicator?.done(message);
      if (noted) await noted;
    } finally {
      giveTurn(endpoint);
    }
  }

  async function untilOver(running: Promise<void>): Promise<void> {
    try {
      await running;
    } finally {
      giveTurn(endpoint);
    }
  }

  function sendOf(message: IncomingMessage): Promise<void> | undefined {
    return deduplicator?.keepsHeld ? undefined : sendHeld(endpoint, message);
  }

  async function undo(message: IncomingMessage, error: unknown): Promise<never> {
    dropHeld(message);
    await deduplicator?.release(message);
    throw error;
  }
}
