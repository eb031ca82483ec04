import type { CorrelationFilter, RuleFilter } from "../broker/contracts.js";
import { compile, truth } from "./evaluate.js";
import { areEqual, fromAmqp } from "./filter-value.js";
import type { FilterableMessage } from "./filterable-message.js";
import { parseFilter } from "./parser.js";

/** Whether a rule selects a message. @throws FilterError when it cannot be evaluated. */
export type CompiledFilter = (message: FilterableMessage) => boolean;

/** @throws FilterError when the expression is wrong. */
export function compileFilter(filter: RuleFilter): CompiledFilter {
  switch (filter.kind) {
    case "true":
      return () => true;
    case "false":
      return () => false;
    case "sql": {
      const evaluate = compile(parseFilter(filter.expression), filter.parameters);
      return (message) => truth(evaluate(message), "A filter") === true;
    }
    case "correlation":
      return compileCorrelation(filter.correlation);
  }
}

/** The system property that each condition looks at. */
const SYSTEM_PROPERTIES = {
  correlationId: "CorrelationId",
  messageId: "MessageId",
  to: "To",
  replyTo: "ReplyTo",
  label: "Label",
  sessionId: "SessionId",
  replyToSessionId: "ReplyToSessionId",
  contentType: "ContentType",
} as const;

/** All conditions must hold; strings are compared with regard to letter case. */
function compileCorrelation(correlation: CorrelationFilter): CompiledFilter {
  const conditions: CompiledFilter[] = [];
  for (const [key, property] of Object.entries(SYSTEM_PROPERTIES)) {
    const expected = correlation[key as keyof typeof SYSTEM_PROPERTIES];
    if (expected === undefined) continue;
    conditions.push((message) => {
      const value = message.system(property);
      return value !== undefined && value !== null && String(value) === expected;
    });
  }
  for (const [name, value] of correlation.properties ?? []) {
    const expected = fromAmqp(value);
    conditions.push((message) => {
      const actual = message.user(name);
      return actual !== undefined && areEqual(fromAmqp(actual), expected);
    });
  }
  return (message) => conditions.every((condition) => condition(message));
}
