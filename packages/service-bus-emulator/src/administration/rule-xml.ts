import type { AmqpValue } from "../amqp/values.js";
import type { CorrelationFilter, RuleAction, RuleDescription, RuleFilter } from "../broker/contracts.js";
import { errors } from "../broker/errors.js";
import { readTypedValues, writeTypedValues } from "./typed-values-xml.js";
import { child, childText, tag, type XmlElement } from "./xml.js";

/** The correlation filter's elements and the conditions that they hold. */
const CONDITIONS = {
  CorrelationId: "correlationId",
  MessageId: "messageId",
  To: "to",
  ReplyTo: "replyTo",
  Label: "label",
  SessionId: "sessionId",
  ReplyToSessionId: "replyToSessionId",
  ContentType: "contentType",
} as const;

/** A RuleDescription. @throws BrokerError "amqp:invalid-field" */
export function readRule(element: XmlElement, name: string): RuleDescription {
  return { name, filter: readFilter(child(element, "Filter")), action: readAction(child(element, "Action")) };
}

/** No filter selects everything. */
function readFilter(element: XmlElement | undefined): RuleFilter {
  const type = element?.attributes.get("type")?.replace(/^.*:/, "");
  switch (type) {
    case undefined:
    case "TrueFilter":
      return { kind: "true" };
    case "FalseFilter":
      return { kind: "false" };
    case "SqlFilter":
      return { kind: "sql", expression: childText(element, "SqlExpression") ?? "", parameters: parametersOf(element, "Parameters") };
    case "CorrelationFilter":
      return { kind: "correlation", correlation: readCorrelation(element) };
    default:
      throw errors.invalid(`There is no filter of the type '${type}'.`);
  }
}

function readCorrelation(element: XmlElement | undefined): CorrelationFilter {
  const correlation: Record<string, string> = {};
  for (const [name, key] of Object.entries(CONDITIONS)) {
    const text = childText(element, name);
    if (text !== undefined && text !== "") correlation[key] = text;
  }
  const properties = parametersOf(element, "Properties");
  if (Object.keys(correlation).length === 0 && !properties) throw errors.invalid("A correlation filter has at least one condition.");
  return { ...correlation, properties };
}

function readAction(element: XmlElement | undefined): RuleAction | undefined {
  const expression = childText(element, "SqlExpression");
  if (expression === undefined || expression.trim() === "") return undefined;
  return { expression, parameters: parametersOf(element, "Parameters") };
}

function parametersOf(element: XmlElement | undefined, name: string): ReadonlyMap<string, AmqpValue> | undefined {
  const values = readTypedValues(child(element, name));
  return values.size > 0 ? values : undefined;
}

/** What stands in a RuleDescription. */
export function writeRule(rule: RuleDescription): string {
  const createdAt = rule.createdAt === undefined ? undefined : new Date(rule.createdAt).toISOString();
  return writeFilter(rule.filter) + writeAction(rule.action) + tag("CreatedAt", createdAt) + tag("Name", rule.name);
}

function writeFilter(filter: RuleFilter): string {
  switch (filter.kind) {
    case "true":
      return sqlElement("Filter", "TrueFilter", "1=1", undefined);
    case "false":
      return sqlElement("Filter", "FalseFilter", "1=0", undefined);
    case "sql":
      return sqlElement("Filter", "SqlFilter", filter.expression, filter.parameters);
    case "correlation": {
      const conditions = Object.entries(CONDITIONS).map(([name, key]) => tag(name, filter.correlation[key]));
      return `<Filter i:type="CorrelationFilter">${conditions.join("")}${writeTypedValues("Properties", filter.correlation.properties)}</Filter>`;
    }
  }
}

function writeAction(action: RuleAction | undefined): string {
  return action ? sqlElement("Action", "SqlRuleAction", action.expression, action.parameters) : '<Action i:type="EmptyRuleAction"/>';
}

function sqlElement(name: string, type: string, expression: string, parameters: ReadonlyMap<string, AmqpValue> | undefined): string {
  const inner = `${tag("SqlExpression", expression)}<CompatibilityLevel>20</CompatibilityLevel>${writeTypedValues("Parameters", parameters)}`;
  return `<${name} i:type="${type}">${inner}</${name}>`;
}
