import { type AmqpValue, textOf } from "../amqp/values.js";
import { FilterError } from "../filters/filter-error.js";
import { type FilterValue, fromAmqp, Instant } from "../filters/filter-value.js";
import type { ChangeableMessage } from "../filters/filterable-message.js";
import { PropertyIndex, readApplicationProperties, readProperties, withApplicationProperties, withProperties } from "./message-sections.js";
import type { MessageContent } from "./queued-message.js";

/** System properties that are fields of the properties section: their places. */
const FIELDS: Readonly<Record<string, number>> = {
  messageid: PropertyIndex.messageId,
  to: PropertyIndex.to,
  label: PropertyIndex.subject,
  subject: PropertyIndex.subject,
  replyto: PropertyIndex.replyTo,
  correlationid: PropertyIndex.correlationId,
  contenttype: PropertyIndex.contentType,
  sessionid: PropertyIndex.groupId,
  replytosessionid: PropertyIndex.replyToGroupId,
};

const ANNOTATIONS: Readonly<Record<string, string>> = {
  partitionkey: "x-opt-partition-key",
  viapartitionkey: "x-opt-via-partition-key",
};

/** Properties that exist, but have no value before the message is in the subscription. */
const NOT_YET = new Set(["deadlettersource", "expiresatutc", "forcepersistence", "isbodyconsumed", "lockeduntilutc", "locktoken", "state"]);

/** A message on its way into a subscription, as filters and actions see it. Its sections are read once, when first asked for. */
export class RuleMessage implements ChangeableMessage {
  readonly #content: MessageContent;
  readonly #sequence: number;
  readonly #enqueuedTime: number;
  #fields: AmqpValue[] | undefined;
  #user: Map<string, { readonly name: string; readonly value: AmqpValue }> | undefined;
  readonly #changes = new Map<string, AmqpValue | undefined>();
  #fieldsChanged = false;

  constructor(content: MessageContent, position: { readonly sequence: number; readonly enqueuedTime: number }) {
    this.#content = content;
    this.#sequence = position.sequence;
    this.#enqueuedTime = position.enqueuedTime;
  }

  system(name: string): FilterValue {
    const key = name.toLowerCase();
    const field = FIELDS[key];
    if (field !== undefined) return fromAmqp(this.#system[field] ?? undefined);
    const annotation = ANNOTATIONS[key];
    if (annotation !== undefined) return textOf(this.#content.annotations?.get(annotation));
    switch (key) {
      case "sequencenumber":
      case "enqueuedsequencenumber":
        return BigInt(this.#sequence);
      case "enqueuedtimeutc":
        return new Instant(this.#enqueuedTime);
      case "scheduledenqueuetimeutc":
        return this.#content.scheduledEnqueueTime === undefined ? undefined : new Instant(this.#content.scheduledEnqueueTime);
      case "deliverycount":
        return 0n;
      case "size":
        return BigInt(this.#content.bare.length);
      case "timetolive":
        return this.#content.timeToLive === undefined ? undefined : BigInt(this.#content.timeToLive);
      default:
        if (NOT_YET.has(key)) return undefined;
        throw new FilterError(`There is no system property 'sys.${name}'.`);
    }
  }

  user(name: string): AmqpValue | undefined {
    return this.#application.get(name.toLowerCase())?.value;
  }

  setSystem(name: string, value: FilterValue): void {
    const key = name.toLowerCase();
    const field = FIELDS[key];
    if (field === undefined) {
      // They are looked at only when a message enters a queue or a topic: in a subscription setting them has no effect.
      if (key === "scheduledenqueuetimeutc" || key === "timetolive" || key in ANNOTATIONS) return;
      this.system(name);
      throw new FilterError(`The system property 'sys.${name}' cannot be set.`);
    }
    const fields = this.#system;
    while (fields.length <= field) fields.push(null);
    fields[field] = value === undefined || value === null ? null : String(value);
    this.#fieldsChanged = true;
  }

  setUser(name: string, value: AmqpValue | undefined): void {
    const key = name.toLowerCase();
    const known = this.#application.get(key)?.name ?? name;
    this.#changes.set(known, value);
    if (value === undefined) this.#application.delete(key);
    else this.#application.set(key, { name: known, value });
  }

  /** The message with what was changed. */
  get changed(): MessageContent {
    if (!this.#fieldsChanged && this.#changes.size === 0) return this.#content;
    let bare = withApplicationProperties(this.#content.bare, this.#changes);
    if (this.#fieldsChanged) bare = withProperties(bare, this.#system);
    return { ...this.#content, bare, sessionId: textOf(this.#system[PropertyIndex.groupId]) };
  }

  get #system(): AmqpValue[] {
    this.#fields ??= [...readProperties(this.#content.bare)];
    return this.#fields;
  }

  get #application(): Map<string, { readonly name: string; readonly value: AmqpValue }> {
    if (!this.#user) {
      this.#user = new Map();
      for (const [name, value] of readApplicationProperties(this.#content.bare)) {
        const key = name.toLowerCase();
        if (!this.#user.has(key)) this.#user.set(key, { name, value });
      }
    }
    return this.#user;
  }
}
