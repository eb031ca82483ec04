import { decodeValue } from "../amqp/decoder.js";
import { encodeValue } from "../amqp/encoder.js";
import { type AmqpValue, isMap, map, textOf } from "../amqp/values.js";
import type { RuleDescription } from "../broker/contracts.js";
import type { QueueDescription, SubscriptionDescription, TopicDescription } from "../broker/descriptions.js";
import { QueueEntity } from "../broker/queue-entity.js";
import type { SubscriptionEntity } from "../broker/subscription-entity.js";
import { TopicEntity } from "../broker/topic-entity.js";

/** An entity as it is written down. */
export type EntityRecord = {
  readonly id: number;
  readonly createdAt: number;
  readonly updatedAt: number;
} & (
  | { readonly kind: "queue"; readonly name: string; readonly description: QueueDescription }
  | { readonly kind: "topic"; readonly name: string; readonly description: TopicDescription }
  | {
      readonly kind: "subscription";
      readonly name: string;
      readonly topic: string;
      readonly description: SubscriptionDescription;
      readonly rules: readonly RuleDescription[];
    }
);

/** JSON; values with AMQP types stand in it in their AMQP encoding, base64. */
export function writeEntityRecord(entity: QueueEntity | TopicEntity | SubscriptionEntity): string {
  const { id, createdAt, updatedAt, description } = entity;
  const common = { id, createdAt, updatedAt, description };
  if (entity instanceof QueueEntity) return JSON.stringify({ ...common, kind: "queue", name: entity.path });
  if (entity instanceof TopicEntity) return JSON.stringify({ ...common, kind: "topic", name: entity.path });
  const topic = entity.path.slice(0, -`/Subscriptions/${entity.name}`.length);
  return JSON.stringify({ ...common, kind: "subscription", name: entity.name, topic, rules: entity.rules.list() }, replaceMap);
}

/** @throws SyntaxError */
export function readEntityRecord(json: string): EntityRecord {
  return JSON.parse(json, reviveMap) as EntityRecord;
}

const MAP_KEY = "$amqp";

function replaceMap(_key: string, value: unknown): unknown {
  if (!(value instanceof Map)) return value;
  return { [MAP_KEY]: encodeValue(map([...(value as Map<string, AmqpValue>)])).toString("base64") };
}

function reviveMap(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !(MAP_KEY in value) || typeof value[MAP_KEY] !== "string") return value;
  const decoded = decodeValue(Buffer.from(value[MAP_KEY], "base64"));
  return new Map(isMap(decoded) ? decoded.entries.map(([key, entry]) => [textOf(key) ?? "", entry] as const) : []);
}
