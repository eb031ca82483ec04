import type { RuleProperties, ServiceBusAdministrationClient } from "@azure/service-bus";
import { type AnsweredNo, asked } from "./administration.js";
import type { SubscriptionSpec } from "./topology-plan.js";

type Client = ServiceBusAdministrationClient;
type Subscription = Pick<SubscriptionSpec, "topic" | "name">;

/** Marks a subscription that was taken back, and is kept for the dead letters that it has: alone, it lets nothing in. */
export const NOTHING = { name: "nothing", expression: "1=0" } as const;
/** As the service makes it with each subscription. */
const EVERYTHING = { name: "$Default", expression: "1=1" } as const;

/**
 * Of a subscription that was brought back while the bus ran. Who did so cannot know whether it was deleted by mistake, or taken back by a newer version of the
 * service: the newer version, seeing the mark, takes it back again.
 */
export const RESTORED = { userMetadata: "restored by trolleybus" } as const;

/** Lets nothing more in. Any rule that lets a message in counts, so all others go; the mark comes first. */
export async function endSubscription(client: Client, { topic, name }: Subscription): Promise<void> {
  await asked(() => client.createRule(topic, name, NOTHING.name, { sqlExpression: NOTHING.expression }));
  for (const rule of await rulesOf(client, { topic, name }))
    if (rule.name !== NOTHING.name) await asked(() => client.deleteRule(topic, name, rule.name));
}

/**
 * Takes {@link endSubscription} back: what let messages in before it is not known any more, so everything is let in. The mark goes last: who is
 * interrupted begins again.
 * @returns whether it had been ended, or the service's no
 */
export async function resumeSubscription(client: Client, { topic, name }: Subscription): Promise<boolean | AnsweredNo> {
  const mark = await asked(() => client.getRule(topic, name, NOTHING.name));
  if (mark === "missing") return false;
  if (typeof mark === "string") return mark;
  if (!isMark(mark)) return false;
  const rule = await asked(() => client.createRule(topic, name, EVERYTHING.name, { sqlExpression: EVERYTHING.expression }));
  if (typeof rule === "string" && rule !== "exists") return rule;
  // Another instance may have been faster.
  const deleted = await asked(() => client.deleteRule(topic, name, NOTHING.name));
  return typeof deleted !== "string" || deleted === "missing" ? true : deleted;
}

/** Whether {@link endSubscription} was there, and nobody let anything in again. */
export async function isEnded(client: Client, subscription: Subscription): Promise<boolean> {
  const rules = await rulesOf(client, subscription);
  return rules.length > 0 && rules.every(isMark);
}

/** Whether it is there, and was brought back, and nobody has subscribed at his start since. */
export async function isRestored(client: Client, { topic, name }: Subscription): Promise<boolean> {
  const found = await asked(() => client.getSubscription(topic, name));
  return typeof found !== "string" && found.userMetadata === RESTORED.userMetadata;
}

/** Takes the mark {@link RESTORED} away: it is wanted. @returns the service's no, if any */
export async function keepSubscription(client: Client, { topic, name }: Subscription): Promise<AnsweredNo | undefined> {
  const found = await asked(() => client.getSubscription(topic, name));
  if (typeof found === "string") return found;
  if (found.userMetadata !== RESTORED.userMetadata) return undefined;
  const updated = await asked(() => client.updateSubscription({ ...found, userMetadata: "" }));
  return typeof updated === "string" ? updated : undefined;
}

async function rulesOf(client: Client, { topic, name }: Subscription): Promise<readonly RuleProperties[]> {
  const rules: RuleProperties[] = [];
  for await (const rule of client.listRules(topic, name)) rules.push(rule);
  return rules;
}

function isMark({ name, filter }: RuleProperties): boolean {
  return name === NOTHING.name && "sqlExpression" in filter && filter.sqlExpression === NOTHING.expression;
}
