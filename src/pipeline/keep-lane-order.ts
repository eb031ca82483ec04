import type { EndpointContext } from "./endpoint-context.js";
import type { PipelineStep } from "./incoming-message.js";

/** Lets messages of one `partitionKey` through one after the other, each with all its retries that happen in process. */
export function keepLaneOrder({ lanes }: EndpointContext): PipelineStep {
  return (message, next) => {
    const key = message.envelope?.partitionKey;
    if (key === undefined) return next(message);
    const before = lanes.enter(key);
    return inLane(key, before);

    async function inLane(lane: string, turn: Promise<void> | undefined): Promise<void> {
      try {
        if (turn) await turn;
        await next(message);
      } finally {
        lanes.leave(lane);
      }
    }
  };
}
