import type { QueueProperties, SubscriptionProperties, TopicProperties } from "@azure/service-bus";
import { SHORTEST_LOCK_MS } from "./options.js";
import type { QueueSpec, SubscriptionSpec } from "./topology-plan.js";

/** An entity that nobody uses for longer than this is as good as never deleted. */
const FOREVER_MS = 365 * 86_400_000;

/** What is wrong with a queue that is there, each as half a sentence that names the setting; none when it will do. */
export function differencesOfQueue(found: QueueProperties, wanted: QueueSpec): readonly string[] {
  const wrong: string[] = [];
  if (found.requiresSession !== wanted.requiresSession) {
    wrong.push(
      `requiresSession is ${found.requiresSession} and should be ${wanted.requiresSession} (it comes from the endpoint's option "order", which cannot be changed: give the endpoint another name)`,
    );
  }
  duplicateDetection(found.requiresDuplicateDetection, wrong);
  if (millisecondsOf(found.lockDuration) < SHORTEST_LOCK_MS)
    wrong.push(`lockDuration is ${found.lockDuration} and should be at least PT10S, so that a lock can be renewed in time`);
  if (found.maxDeliveryCount < wanted.leastDeliveryCount) {
    wrong.push(
      `maxDeliveryCount is ${found.maxDeliveryCount} and should be ${wanted.maxDeliveryCount}, at least ${wanted.leastDeliveryCount}: the bus itself counts and gives up, while the broker counts what is given back at each stop too`,
    );
  }
  if (!found.deadLetteringOnMessageExpiration)
    wrong.push("deadLetteringOnMessageExpiration is false and should be true, else expired messages are lost");
  if (found.forwardTo)
    wrong.push(`forwardTo is ${lastOf(found.forwardTo)} and should not be set: nothing can be received from a queue that forwards`);
  partitioning(found.enablePartitioning, wrong);
  lifetime(found, wrong);
  return wrong;
}

/** As {@link differencesOfQueue}. */
export function differencesOfTopic(found: TopicProperties): readonly string[] {
  const wrong: string[] = [];
  duplicateDetection(found.requiresDuplicateDetection, wrong);
  partitioning(found.enablePartitioning, wrong);
  lifetime(found, wrong);
  return wrong;
}

/** As {@link differencesOfQueue}. The rules of a subscription are its owner's: a filter that somebody set stays. */
export function differencesOfSubscription(found: SubscriptionProperties, wanted: SubscriptionSpec): readonly string[] {
  const wrong: string[] = [];
  if (lastOf(found.forwardTo ?? "").toLowerCase() !== wanted.forwardTo.toLowerCase())
    wrong.push(`forwardTo ${found.forwardTo ? `is ${lastOf(found.forwardTo)}` : "is not set"} and should be ${wanted.forwardTo}`);
  if (found.requiresSession) wrong.push("requiresSession is true and should be false");
  if (!found.deadLetteringOnMessageExpiration)
    wrong.push("deadLetteringOnMessageExpiration is false and should be true, else expired messages are lost");
  if (!found.deadLetteringOnFilterEvaluationExceptions)
    wrong.push("deadLetteringOnFilterEvaluationExceptions is false and should be true, else messages that a filter fails on are lost");
  lifetime(found, wrong);
  return wrong;
}

/** Milliseconds of an ISO 8601 duration as the service writes it, such as `P1DT2H3M4.5S`; 0 for anything else. */
export function millisecondsOf(duration: string | undefined): number {
  const match = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(duration ?? "");
  if (!match) return 0;
  const [, days = "0", hours = "0", minutes = "0", seconds = "0"] = match;
  return ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60_000 + Number(seconds) * 1000;
}

/** An ISO 8601 duration. */
export function durationOf(ms: number): string {
  return `PT${ms / 1000}S`;
}

function duplicateDetection(isOn: boolean, wrong: string[]): void {
  if (!isOn) return;
  wrong.push(
    "requiresDuplicateDetection is true and should be false: the broker would drop replayed messages and copies that come after a failure; the bus recognises what was handled itself",
  );
}

function partitioning(isOn: boolean, wrong: string[]): void {
  if (isOn)
    wrong.push("enablePartitioning is true and should be false: what is sent in one turn leaves as one batch, which partitions refuse");
}

function lifetime(found: { readonly status?: string; readonly autoDeleteOnIdle?: string }, wrong: string[]): void {
  if (found.autoDeleteOnIdle && millisecondsOf(found.autoDeleteOnIdle) < FOREVER_MS)
    wrong.push(`autoDeleteOnIdle is ${found.autoDeleteOnIdle} and should not be set: it deletes what waits while no process runs`);
  if (found.status !== undefined && found.status !== "Active") wrong.push(`status is ${found.status} and should be Active`);
}

/** The service tells the target of a forward as an absolute URL. */
function lastOf(forwardTo: string): string {
  return decodeURIComponent(forwardTo.replace(/^[a-z]+:\/\/[^/]*\//i, ""));
}
