import type { EndpointContext } from "./endpoint-context.js";
import type { PipelineStep } from "./incoming-message.js";

/** Lets messages of one `partitionKey` through one after the other, each with all its retries that happen in process. */
export function keepLaneOrder({ lanes }: EndpointContext): PipelineStep {
  return (message, next) => {
    const key = message.envelope?.partitionKey;
    if (key === undefined) return next(message);
    const before = lanes.enter(key);
    if (before)
      return inLane(
        key,
        before.then(() => next(message)),
      );
    let running: Promise<void> | undefined;
    try {
      running = next(message);
    } catch (error) {
      lanes.leave(key);
      throw error;
    }
    if (running) return inLane(key, running);
    lanes.leave(key);
    return undefined;
  };

  async function inLane(key: string, running: Promise<void>): Promise<void> {
    try {
      await running;
    } finally {
      lanes.leave(key);
    }
  }
}
