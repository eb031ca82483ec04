import { processGate } from "../endpoint/process-gate.js";
import { Abandoned } from "./control.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { PipelineStep } from "./incoming-message.js";

/** Holds one of the endpoint's turns for the length of a run; a suspect gets the whole process for itself. */
export function takeTurn({ turns, closing, abandoned }: EndpointContext): PipelineStep {
  return async (message, next) => {
    const alone = message.delivery.suspicion === "careful";
    if (!turns.tryTake()) {
      if (!(await turns.take(message.begun))) throw new Abandoned();
    }
    try {
      if (alone || !processGate.tryEnter()) await processGate.enter(alone);
      try {
        // Both waits can be long.
        if (message.delivery.isLost || abandoned.aborted || (closing.aborted && !message.begun)) throw new Abandoned();
        message.begun = true;
        await next(message);
      } finally {
        processGate.leave();
      }
    } finally {
      turns.give();
    }
  };
}
