import { type Field, QUEUE_FIELDS, SUBSCRIPTION_FIELDS, TOPIC_FIELDS } from "../administration/description-fields.js";
import { parseDuration } from "../administration/iso-duration.js";
import type { AmqpValue } from "../amqp/values.js";
import type { RuleDescription, RuleFilter } from "../broker/contracts.js";
import type { QueueDescription, SubscriptionDescription, TopicDescription } from "../broker/descriptions.js";
import { ConfigError, ConfigProblems, describe } from "./config-problems.js";

/** The entities that a Config.json names. Properties that it leaves out have Azure's defaults. */
export interface EmulatorConfig {
  /** Of the namespace. */
  readonly name: string;
  readonly queues: readonly { readonly name: string; readonly description: Partial<QueueDescription> }[];
  readonly topics: readonly {
    readonly name: string;
    readonly description: Partial<TopicDescription>;
    readonly subscriptions: readonly SubscriptionConfig[];
  }[];
}

export interface SubscriptionConfig {
  readonly name: string;
  readonly description: Partial<SubscriptionDescription>;
  /** `undefined`: none were named, everything is selected. */
  readonly rules: readonly RuleDescription[] | undefined;
}

/** The name that Microsoft's emulator gives its one namespace. */
export const DEFAULT_NAMESPACE_NAME = "sbemulatorns";

/**
 * Reads the configuration of Microsoft's emulator
 * (https://github.com/Azure/azure-service-bus-emulator-installer/blob/main/ServiceBus-Emulator/Schema/Config-schema.json).
 * @param where what to call it in errors, e.g. the path of the file.
 * @throws ConfigError naming everything that is wrong.
 */
export function readConfig(config: unknown, where = "The configuration"): EmulatorConfig {
  const problems = new ConfigProblems();
  const root = problems.object("the document", config, ["UserConfig", "$schema"]);
  if (root["UserConfig"] === undefined) problems.add("the document", `"UserConfig" is missing.`);
  const user = problems.object("UserConfig", root["UserConfig"], ["Namespaces", "Logging"]);
  const namespaces = problems.list("UserConfig.Namespaces", user["Namespaces"]);
  if (namespaces.length > 1) problems.add("UserConfig.Namespaces", `${namespaces.length} namespaces are named, but one emulator has one.`);
  const read = new ConfigReader(problems).namespace(namespaces[0]);
  if (problems.all.length > 0) throw new ConfigError(where, problems.all);
  return read;
}

class ConfigReader {
  readonly #problems: ConfigProblems;

  constructor(problems: ConfigProblems) {
    this.#problems = problems;
  }

  namespace(value: unknown): EmulatorConfig {
    const namespace = this.#problems.object("Namespaces[0]", value, ["Name", "Queues", "Topics"]);
    const name = namespace["Name"] === undefined ? DEFAULT_NAMESPACE_NAME : this.#problems.text("Namespaces[0].Name", namespace["Name"]);
    const queues = this.#named("Queues", namespace["Queues"], ["Name", "Properties"], (place, queueName, queue) => ({
      name: queueName,
      description: this.#description(`${place}.Properties`, queue["Properties"], QUEUE_FIELDS),
    }));
    const topics = this.#named("Topics", namespace["Topics"], ["Name", "Properties", "Subscriptions"], (place, topicName, topic) => ({
      name: topicName,
      description: this.#description(`${place}.Properties`, topic["Properties"], TOPIC_FIELDS),
      subscriptions: this.#subscriptions(`${place}.Subscriptions`, topic["Subscriptions"]),
    }));
    return { name: name ?? DEFAULT_NAMESPACE_NAME, queues, topics };
  }

  #subscriptions(where: string, value: unknown): SubscriptionConfig[] {
    return this.#named(where, value, ["Name", "Properties", "Rules"], (place, name, subscription) => {
      const rules = this.#named(`${place}.Rules`, subscription["Rules"], ["Name", "Properties"], (at, ruleName, rule) =>
        this.#rule(`${at}.Properties`, ruleName, rule["Properties"]),
      );
      return {
        name,
        description: this.#description(`${place}.Properties`, subscription["Properties"], SUBSCRIPTION_FIELDS),
        rules: rules.length > 0 ? rules : undefined,
      };
    });
  }

  #named<T>(
    where: string,
    value: unknown,
    known: readonly string[],
    read: (place: string, name: string, item: Record<string, unknown>) => T,
  ): T[] {
    const items: T[] = [];
    for (const [i, entry] of this.#problems.list(where, value).entries()) {
      const item = this.#problems.object(`${where}[${i}]`, entry, known);
      const name = this.#problems.text(`${where}[${i}].Name`, item["Name"]);
      if (name !== undefined) items.push(read(`${where}["${name}"]`, name, item));
    }
    return items;
  }

  #description<D>(place: string, value: unknown, fields: readonly Field<D>[]): Partial<D> {
    const given = this.#problems.object(
      place,
      value,
      fields.map((field) => field.element),
    );
    const description: Record<string, unknown> = {};
    for (const field of fields) {
      const property = given[field.element];
      if (property === undefined || property === null || property === "") continue;
      const read = readProperty(property, field.type);
      if (read === undefined) this.#problems.add(`${place}.${field.element}`, `${describe(property)} is not ${WANTED[field.type]}.`);
      else description[field.key] = read;
    }
    return description as Partial<D>;
  }

  #rule(place: string, name: string, value: unknown): RuleDescription {
    const properties = this.#problems.object(place, value, ["FilterType", "CorrelationFilter", "SqlFilter", "Action"]);
    const action = this.#problems.object(`${place}.Action`, properties["Action"], ["SqlExpression"])["SqlExpression"];
    const expression = action === undefined || action === "" ? undefined : this.#problems.text(`${place}.Action.SqlExpression`, action);
    return { name, filter: this.#filter(place, properties), action: expression === undefined ? undefined : { expression } };
  }

  #filter(place: string, properties: Record<string, unknown>): RuleFilter {
    const type = properties["FilterType"];
    if (type === "Sql") {
      const sql = this.#problems.object(`${place}.SqlFilter`, properties["SqlFilter"], ["SqlExpression"]);
      return { kind: "sql", expression: this.#problems.text(`${place}.SqlFilter.SqlExpression`, sql["SqlExpression"]) ?? "1=1" };
    }
    if (type !== "Correlation") this.#problems.add(`${place}.FilterType`, `${describe(type)} is neither "Correlation" nor "Sql".`);
    return this.#correlation(`${place}.CorrelationFilter`, properties["CorrelationFilter"]);
  }

  #correlation(place: string, value: unknown): RuleFilter {
    const given = this.#problems.object(place, value, [...Object.keys(CONDITIONS), "Properties"]);
    const correlation: Record<string, string> = {};
    for (const [element, key] of Object.entries(CONDITIONS)) {
      if (given[element] === undefined || given[element] === "") continue;
      const text = this.#problems.text(`${place}.${element}`, given[element]);
      if (text !== undefined) correlation[key] = text;
    }
    const properties = new Map<string, AmqpValue>();
    for (const [name, property] of Object.entries((given["Properties"] ?? {}) as object)) {
      const amqp = toAmqp(property);
      if (amqp === undefined) this.#problems.add(`${place}.Properties.${name}`, `${describe(property)} is no text, number or flag.`);
      else properties.set(name, amqp);
    }
    if (Object.keys(correlation).length === 0 && properties.size === 0) this.#problems.add(place, "it has no condition.");
    return { kind: "correlation", correlation: { ...correlation, properties: properties.size > 0 ? properties : undefined } };
  }
}

const CONDITIONS = {
  ContentType: "contentType",
  CorrelationId: "correlationId",
  Label: "label",
  MessageId: "messageId",
  ReplyTo: "replyTo",
  ReplyToSessionId: "replyToSessionId",
  SessionId: "sessionId",
  To: "to",
} as const;

const WANTED: Readonly<Record<Field<object>["type"], string>> = {
  duration: `an ISO 8601 duration such as "PT1M"`,
  integer: "a whole number",
  boolean: "true or false",
  text: "a text",
  entity: "the name of a queue or topic",
  keys: "possible here: an entity's own keys are made over the administration API",
};

function readProperty(value: unknown, type: Field<object>["type"]): unknown {
  switch (type) {
    case "duration":
      return typeof value === "string" ? parseDuration(value) : undefined;
    case "integer":
      return Number.isSafeInteger(value) ? value : undefined;
    case "boolean":
      return typeof value === "boolean" ? value : undefined;
    case "keys":
      return undefined;
    default:
      return typeof value === "string" ? value : undefined;
  }
}

/** A JSON value as a property of a message: whole numbers as int or long, others as double. */
function toAmqp(value: unknown): AmqpValue | undefined {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value !== "number") return undefined;
  if (!Number.isSafeInteger(value)) return { type: "double", value };
  return Math.abs(value) < 2 ** 31 ? { type: "int", value } : { type: "long", value: BigInt(value) };
}
