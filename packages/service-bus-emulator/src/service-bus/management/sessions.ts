import { array, integerOf, map, stringMap, timestamp } from "../../amqp/values.js";
import type { Receivable } from "../../broker/contracts.js";
import { type Fields, ok, type Response } from "../request.js";

/** What .NET sends for "all sessions": the largest date that it can write. */
const END_OF_TIME = 253_402_300_799_000n;

/** Requests about sessions (learn.microsoft.com, service-bus-amqp-request-response, "Session operations"). */
export function renewSessionLock(entity: Receivable, fields: Fields): Response {
  return ok(map([["expiration", timestamp(Math.floor(entity.renewSessionLock(sessionId(fields))))]]));
}

export function getSessionState(entity: Receivable, fields: Fields): Response {
  return ok(stringMap({ "session-state": entity.getSessionState(sessionId(fields)) ?? null }));
}

export function setSessionState(entity: Receivable, fields: Fields): Response {
  const state = fields.get("session-state");
  // Go's client takes a state away by an empty one.
  entity.setSessionState(sessionId(fields), Buffer.isBuffer(state) && state.length > 0 ? Buffer.from(state) : undefined);
  return ok();
}

/** Sessions with messages or state; with a date those whose state was set since. */
export function listSessions(entity: Receivable, fields: Fields): Response {
  const since = integerOf(fields.get("last-updated-time"));
  const updatedAfter = since === undefined || since >= END_OF_TIME ? undefined : Number(since);
  const skip = Number(integerOf(fields.get("skip")) ?? 0n);
  const top = Number(integerOf(fields.get("top")) ?? 100n);
  const ids = entity.listSessions(updatedAfter, skip, top);
  if (ids.length === 0) return { statusCode: 204, description: "NoContent", condition: "com.microsoft:session-not-found" };
  return ok(
    map([
      ["skip", { type: "int", value: skip + ids.length }],
      ["sessions-ids", array("string", ids)],
    ]),
  );
}

function sessionId(fields: Fields): string {
  return fields.text("session-id") ?? fields.missing("session-id");
}
