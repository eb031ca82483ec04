/** A structured CloudEvent as a foreign service would write it: what the default wire format reads. */
export interface CloudEvent {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: string;
  readonly datacontenttype: "application/json";
  readonly correlationid: string;
  readonly conversationid: string;
  readonly data: unknown;
}

export const CLOUD_EVENTS_JSON = "application/cloudevents+json";

let made = 0;

/** An event with an id of its own. */
export function cloudEvent(type: string, data: unknown): CloudEvent {
  made++;
  const id = `foreign-${Date.now().toString(36)}-${made}`;
  return {
    specversion: "1.0",
    id,
    source: "somebody-else",
    type,
    time: new Date().toISOString(),
    datacontenttype: "application/json",
    correlationid: id,
    conversationid: id,
    data,
  };
}

/** Text as UTF-8. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
