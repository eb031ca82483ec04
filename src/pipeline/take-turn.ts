import { processGate } from "../endpoint/process-gate.js";
import { Abandoned } from "./control.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { IncomingMessage } from "./incoming-message.js";

/**
 * Takes one of the endpoint's turns for the length of a run, at once (`undefined`) or by waiting for it; a suspect gets the whole process for
 * itself. The turn is then the caller's, who must {@link giveTurn}. @throws Abandoned when the bus stops meanwhile: no turn is taken then
 */
export function takeTurn(endpoint: EndpointContext, message: IncomingMessage): Promise<void> | undefined {
  const alone = message.delivery.suspicion === "careful";
  const hasTurn = endpoint.turns.tryTake();
  return hasTurn && !alone && processGate.tryEnter() ? undefined : waitForTurn(endpoint, message, hasTurn, alone);
}

async function waitForTurn(endpoint: EndpointContext, message: IncomingMessage, hasTurn: boolean, alone: boolean): Promise<void> {
  const { turns } = endpoint;
  if (!hasTurn && !(await turns.take(message.begun))) throw new Abandoned();
  if (!alone && processGate.tryEnter()) return;
  if (await processGate.enter(alone, cutOf(endpoint, message))) return;
  turns.give();
  throw new Abandoned();
}

/** Called when the turn is taken: both waits can be long, and one that goes away lets the next in before that has heard of the end itself. @throws Abandoned */
export function begin(endpoint: EndpointContext, message: IncomingMessage): void {
  if (message.delivery.isLost || cutOf(endpoint, message).aborted) throw new Abandoned();
  message.begun = true;
}

export function giveTurn({ turns }: EndpointContext): void {
  processGate.leave();
  turns.give();
}

/** What was begun may go on while the bus stops. */
function cutOf({ closing, abandoned }: EndpointContext, { begun }: IncomingMessage): AbortSignal {
  return begun ? abandoned : closing;
}
