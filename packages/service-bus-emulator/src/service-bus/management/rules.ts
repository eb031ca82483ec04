import { AmqpError } from "../../amqp/amqp-error.js";
import {
  type AmqpMap,
  type AmqpValue,
  described,
  integerOf,
  isMap,
  map,
  mapGet,
  stringMap,
  textOf,
  timestamp,
  ulong,
} from "../../amqp/values.js";
import type { CorrelationFilter, RuleAction, RuleDescription, RuleFilter, Subscription } from "../../broker/contracts.js";
import { type Fields, ok, type Response } from "../request.js";

/** Descriptors of the parts of a rule (learn.microsoft.com, service-bus-amqp-request-response, "Rule operations"). */
const RULE_DESCRIPTION = 0x137_0000_0004n;
const EMPTY_ACTION = 0x137_0000_0005n;
const SQL_ACTION = 0x137_0000_0006n;
const SQL_FILTER = 0x13_7000_0006n;
const TRUE_FILTER = 0x13_7000_0007n;
const FALSE_FILTER = 0x13_7000_0008n;
const CORRELATION_FILTER = 0x13_7000_0009n;

/** The level of compatibility of SQL expressions, as the service answers it. */
const COMPATIBILITY_LEVEL: AmqpValue = { type: "int", value: 20 };

const CORRELATION_FIELDS = {
  correlationId: "correlation-id",
  messageId: "message-id",
  to: "to",
  replyTo: "reply-to",
  label: "label",
  sessionId: "session-id",
  replyToSessionId: "reply-to-session-id",
  contentType: "content-type",
} as const;

export function addRule(subscription: Subscription, fields: Fields): Response {
  const name = fields.text("rule-name") ?? fields.missing("rule-name");
  const description = fields.get("rule-description");
  if (!isMap(description)) return fields.missing("rule-description");
  subscription.addRule({ name, filter: readFilter(description), action: readAction(mapGet(description, "sql-rule-action")) });
  return ok();
}

export function removeRule(subscription: Subscription, fields: Fields): Response {
  subscription.removeRule(fields.text("rule-name") ?? fields.missing("rule-name"));
  return ok();
}

export function listRules(subscription: Subscription, fields: Fields): Response {
  const skip = Number(integerOf(fields.get("skip")) ?? 0n);
  const top = Number(integerOf(fields.get("top")) ?? 100n);
  const rules = subscription.listRules(skip, top);
  if (rules.length === 0) return { statusCode: 204, description: "NoContent" };
  return ok(map([["rules", rules.map((rule) => stringMap({ "rule-description": writeRule(rule) }))]]));
}

function readFilter(description: AmqpMap): RuleFilter {
  const expression = textOf(mapGet(mapGet(description, "sql-filter") ?? undefined, "expression"));
  if (expression !== undefined) return { kind: "sql", expression };
  const correlation = mapGet(description, "correlation-filter");
  if (isMap(correlation)) return { kind: "correlation", correlation: readCorrelation(correlation) };
  if (isMap(mapGet(description, "true-filter"))) return { kind: "true" };
  if (isMap(mapGet(description, "false-filter"))) return { kind: "false" };
  throw new AmqpError("com.microsoft:argument-error", "A rule needs a sql-filter, a correlation-filter, a true-filter or a false-filter.");
}

function readCorrelation(given: AmqpMap): CorrelationFilter {
  const read: Record<string, string> = {};
  for (const [field, name] of Object.entries(CORRELATION_FIELDS)) {
    const text = textOf(mapGet(given, name));
    if (text !== undefined) read[field] = text;
  }
  const properties = mapGet(given, "properties");
  if (!isMap(properties) || properties.entries.length === 0) return read;
  return { ...read, properties: new Map(properties.entries.map(([key, value]) => [textOf(key) ?? "", value])) };
}

function readAction(value: AmqpValue | undefined): RuleAction | undefined {
  const expression = textOf(mapGet(value, "expression"));
  return expression === undefined || expression === "" ? undefined : { expression };
}

function writeRule(rule: RuleDescription): AmqpValue {
  const action = rule.action
    ? described(ulong(SQL_ACTION), [rule.action.expression, COMPATIBILITY_LEVEL])
    : described(ulong(EMPTY_ACTION), []);
  return described(ulong(RULE_DESCRIPTION), [writeFilter(rule.filter), action, rule.name, timestamp(Math.floor(rule.createdAt ?? 0))]);
}

function writeFilter(filter: RuleFilter): AmqpValue {
  switch (filter.kind) {
    case "true":
      return described(ulong(TRUE_FILTER), []);
    case "false":
      return described(ulong(FALSE_FILTER), []);
    case "sql":
      return described(ulong(SQL_FILTER), [filter.expression, COMPATIBILITY_LEVEL]);
    case "correlation": {
      const { correlation } = filter;
      const fields = Object.keys(CORRELATION_FIELDS).map((field) => correlation[field as keyof typeof CORRELATION_FIELDS] ?? null);
      return described(ulong(CORRELATION_FILTER), [...fields, map([...(correlation.properties ?? [])])]);
    }
  }
}
