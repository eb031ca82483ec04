import { randomBytes } from "node:crypto";
import type { Right } from "../broker/contracts.js";
import type { AuthorizationRule } from "../broker/descriptions.js";
import { errors } from "../broker/errors.js";
import { child, childText, tag, type XmlElement } from "./xml.js";

const RIGHTS: readonly Right[] = ["Listen", "Send", "Manage"];
const INSTANCE = "http://www.w3.org/2001/XMLSchema-instance";

/** The keys of an entity. @throws BrokerError "amqp:invalid-field" */
export function readKeys(element: XmlElement): AuthorizationRule[] {
  return element.children.filter(({ name }) => name === "AuthorizationRule").map((rule) => readKey(rule));
}

function readKey(element: XmlElement): AuthorizationRule {
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
    createdTime: timeIn(element, "CreatedTime"),
    modifiedTime: timeIn(element, "ModifiedTime"),
  };
}

export function writeKeys(rules: readonly AuthorizationRule[]): string {
  if (rules.length === 0) return "<AuthorizationRules/>";
  const elements = rules.map(
    (rule) =>
      `<AuthorizationRule i:type="SharedAccessAuthorizationRule" xmlns:i="${INSTANCE}"><ClaimType>SharedAccessKey</ClaimType><ClaimValue>None</ClaimValue>` +
      `<Rights>${rule.rights.map((right) => tag("AccessRights", right)).join("")}</Rights>` +
      tag("CreatedTime", written(rule.createdTime)) +
      tag("ModifiedTime", written(rule.modifiedTime)) +
      `${tag("KeyName", rule.keyName)}${tag("PrimaryKey", rule.primaryKey)}${tag("SecondaryKey", rule.secondaryKey)}</AuthorizationRule>`,
  );
  return `<AuthorizationRules>${elements.join("")}</AuthorizationRules>`;
}

function timeIn(element: XmlElement, name: string): number | undefined {
  const time = Date.parse(childText(element, name)?.trim() ?? "");
  return Number.isNaN(time) ? undefined : time;
}

const written = (time: number | undefined): string | undefined => (time === undefined ? undefined : new Date(time).toISOString());

const newKey = (): string => randomBytes(32).toString("base64");
