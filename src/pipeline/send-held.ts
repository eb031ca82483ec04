import type { EndpointContext } from "./endpoint-context.js";
import type { IncomingMessage } from "./incoming-message.js";
import type { Run } from "./run.js";
import { sendUntilConfirmed } from "./send-until-confirmed.js";

/**
 * Sends what the handler published, after it has succeeded and before anything else is told so; `undefined` when that is nothing.
 * @throws PublishError what was refused for good
 */
export function sendHeld(endpoint: EndpointContext, { run }: IncomingMessage): Promise<void> | undefined {
  return run && run.held.length > 0 ? send(endpoint, run) : undefined;
}

/** Drops what a failed handler published. */
export function dropHeld({ run }: IncomingMessage): void {
  run?.budget?.give(run.held.splice(0).length);
}

async function send(endpoint: EndpointContext, run: Run): Promise<void> {
  const held = run.held.splice(0);
  try {
    const [refused] = await sendUntilConfirmed(endpoint, held);
    if (refused) throw refused;
  } finally {
    run.budget?.give(held.length);
  }
}
