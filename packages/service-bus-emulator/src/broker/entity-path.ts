import { errors } from "./errors.js";

/** Longest names (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas). */
const LONGEST_PATH = 260;
const LONGEST_NAME = 50;
/** Starts and ends with a letter or digit; between them also points, hyphens, underscores and, in paths, slashes. */
const PATH = /^[A-Za-z0-9]$|^[A-Za-z0-9][\w\-./]*[A-Za-z0-9_]$/;
const NAME = /^[A-Za-z0-9_]$|^[A-Za-z0-9_][\w\-.]*[A-Za-z0-9_]$/;
const RULE_NAME = /^[$\w][\w\-.$]*$/;

export type SubQueueName = "dead-letters" | "transfer-dead-letters";

/** An address, taken apart. All in lower case. */
export interface EntityAddress {
  /** Name of a queue or topic. */
  readonly name: string;
  readonly subscription: string | undefined;
  readonly subQueue: SubQueueName | undefined;
}

const SUB_QUEUES: readonly (readonly [string, SubQueueName])[] = [
  ["/$transfer/$deadletterqueue", "transfer-dead-letters"],
  ["/$deadletterqueue", "dead-letters"],
];

/** Takes an address apart as SDKs write it: with or without scheme and host, in any letter case. */
export function parseAddress(address: string): EntityAddress {
  let path = withoutHost(address).toLowerCase();
  let subQueue: SubQueueName | undefined;
  for (const [suffix, name] of SUB_QUEUES) {
    if (!path.endsWith(suffix)) continue;
    path = path.slice(0, -suffix.length);
    subQueue = name;
    break;
  }
  const parts = /^(.+)\/subscriptions\/([^/]+)$/.exec(path);
  return { name: parts?.[1] ?? path, subscription: parts?.[2], subQueue };
}

/** The path of an address: no scheme and host, no slash before or after. */
export function withoutHost(address: string): string {
  return address.replace(/^[a-z]+:\/\/[^/]*/i, "").replace(/^\/+|\/+$/g, "");
}

/** @throws BrokerError "amqp:invalid-field" */
export function assertPath(path: string): void {
  if (path.length > LONGEST_PATH || !PATH.test(path) || /\/\/|\/subscriptions(\/|$)/i.test(path)) {
    throw errors.invalid(
      `'${path}' is not the name of a queue or topic: at most ${LONGEST_PATH} letters, digits, and . - _ / between them.`,
    );
  }
}

/** @throws BrokerError "amqp:invalid-field" */
export function assertSubscriptionName(name: string): void {
  if (name.length > LONGEST_NAME || !NAME.test(name)) {
    throw errors.invalid(`'${name}' is not the name of a subscription: at most ${LONGEST_NAME} letters, digits, and . - _ between them.`);
  }
}

/** @throws BrokerError "amqp:invalid-field" */
export function assertRuleName(name: string): void {
  if (name.length > LONGEST_NAME || !RULE_NAME.test(name)) {
    throw errors.invalid(`'${name}' is not the name of a rule: at most ${LONGEST_NAME} letters, digits, and . - _ between them.`);
  }
}
