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
      const cut = message.begun ? abandoned : closing;
      if (alone || !processGate.tryEnter()) {
        if (!(await processGate.enter(alone, cut))) throw new Abandoned();
      }
      try {
        // Both waits can be long; and one that goes away lets the next in before that has heard of the end itself.
        if (message.delivery.isLost || cut.aborted) throw new Abandoned();
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
