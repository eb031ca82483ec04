import { createRequire } from "node:module";
import type { Logger } from "../../src/contracts/logger.js";
import { textOf } from "./errors.js";
import type { KafkajsModule } from "./kafkajs-home.js";

/** Of the queue that kafkajs has for each connection. */
interface RequestQueue {
  /** Those that are not sent yet. */
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
}
interface RequestQueueClass {
  readonly prototype: RequestQueue;
}

const quieted = new WeakSet<object>();

/**
 * Has kafkajs look for requests that wait only while some do. As it is, each connection that was ever answered looks a thousand times a second, for ever: a
 * twentieth of a core for nothing, and on Node 24 a warning of a negative timeout (https://github.com/tulios/kafkajs/issues/1556, /1704, /1751). What waits is
 * looked for when it is put there, at each answer, and while the broker has asked for a pause, all as before.
 */
export function quietQueues(module: KafkajsModule, logger: Logger): void {
  let queue: RequestQueue;
  try {
    const require = createRequire(import.meta.url);
    if (require("kafkajs") !== module) return;
    queue = (require("kafkajs/src/network/requestQueue/index.js") as RequestQueueClass).prototype;
  } catch (error) {
    // In a bundle nothing of it can be found; all that is missing then is the rest.
    logger.debug(`The timers of kafkajs's idle connections cannot be stopped: ${textOf(error)}`);
    return;
  }
  const check = queue.scheduleCheckPendingRequests as RequestQueue["scheduleCheckPendingRequests"] | undefined;
  if (typeof check !== "function" || quieted.has(queue)) return;
  quieted.add(queue);
  queue.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) check.call(this);
  };
}
