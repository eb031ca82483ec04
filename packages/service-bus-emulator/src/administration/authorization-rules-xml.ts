import { randomBytes } from "node:crypto";
import type { Right } from "../broker/contracts.js";
import type { AuthorizationRule } from "../broker/descriptions.js";
import { errors } from "../broker/errors.js";
import { child, childText, tag, type XmlElement } from "./xml.js";

const RIGHTS: readonly Right[] = ["Listen", "Send", "Manage"];
const INSTANCE = "http://www.w3.org/2001/XMLSchema-instance";

/** The keys of an entity. @throws BrokerError "amqp:invalid-field" */
export function readKeys(element: XmlElement, now: number): AuthorizationRule[] {
  return element.children.filter(({ name }) => name === "AuthorizationRule").map((rule) => readKey(rule, now));
}

function readKey(element: XmlElement, now: number): AuthorizationRule {
  const keyName = childText(element, "KeyName")?.trim();
  if (!keyName) throw errors.invalid("An AuthorizationRule has no KeyName.");
  const rights = (child(element, "Rights")?.children ?? []).map(({ text }) => {
    const right = RIGHTS.find((known) => known === text.trim());
    if (!right) throw errors.invalid(`The AuthorizationRule '${keyName}' has the right '${text}', but ${RIGHTS.join(", ")} are known.`);
    return right;
  });
  return {
    keyName,
    rights,
    primaryKey: childText(element, "PrimaryKey")?.trim() || newKey(),
    secondaryKey: childText(element, "SecondaryKey")?.trim() || newKey(),
    createdTime: now,
    modifiedTime: now,
  };
}

export function writeKeys(rules: readonly AuthorizationRule[]): string {
  if (rules.length === 0) return "<AuthorizationRules/>";
  const written = rules.map(
    (rule) =>
      `<AuthorizationRule i:type="SharedAccessAuthorizationRule" xmlns:i="${INSTANCE}"><ClaimType>SharedAccessKey</ClaimType><ClaimValue>None</ClaimValue>` +
      `<Rights>${rule.rights.map((right) => tag("AccessRights", right)).join("")}</Rights>` +
      tag("CreatedTime", new Date(rule.createdTime).toISOString()) +
      tag("ModifiedTime", new Date(rule.modifiedTime).toISOString()) +
      `${tag("KeyName", rule.keyName)}${tag("PrimaryKey", rule.primaryKey)}${tag("SecondaryKey", rule.secondaryKey)}</AuthorizationRule>`,
  );
  return `<AuthorizationRules>${written.join("")}</AuthorizationRules>`;
}

const newKey = (): string => randomBytes(32).toString("base64");
