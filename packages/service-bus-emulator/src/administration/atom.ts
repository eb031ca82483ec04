import { randomUUID } from "node:crypto";
import { escapeXml, tag } from "./xml.js";

const ATOM = "http://www.w3.org/2005/Atom";
const SERVICE_BUS = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
const INSTANCE = "http://www.w3.org/2001/XMLSchema-instance";

/** One entity in the answers of the administration API. */
export interface AtomEntry {
  /** Its name: what the title says. */
  readonly title: string;
  /** Its path, from which some SDKs read the names: "topic/Subscriptions/name/Rules/name". */
  readonly path: string;
  /** Element that holds the properties, e.g. "QueueDescription". */
  readonly element: string;
  /** The properties as XML. */
  readonly properties: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Where the answer is read: "http://localhost:5300". */
export type BaseUrl = string;

const API_VERSION = "api-version=2021-05";

export function writeEntry(entry: AtomEntry, base: BaseUrl): string {
  const id = `${base}/${encodeURI(entry.path)}?${API_VERSION}`;
  return (
    `<entry xmlns="${ATOM}">${tag("id", id)}${tag("title", entry.title, ' type="text"')}` +
    `${tag("published", time(entry.createdAt))}${tag("updated", time(entry.updatedAt))}<author><name>${escapeXml(new URL(base).hostname)}</name></author>` +
    `<link rel="self" href="${escapeXml(id)}"/><content type="application/xml">` +
    `<${entry.element} xmlns="${SERVICE_BUS}" xmlns:i="${INSTANCE}">${entry.properties}</${entry.element}></content></entry>`
  );
}

/** A page of a list. @param next where the following page is; `undefined` on the last one. */
export function writeFeed(title: string, entries: readonly AtomEntry[], base: BaseUrl, self: string, next: string | undefined): string {
  return (
    `<feed xmlns="${ATOM}">${tag("title", title, ' type="text"')}${tag("id", self)}${tag("updated", time(Date.now()))}` +
    `<link rel="self" href="${escapeXml(self)}"/>${next === undefined ? "" : `<link rel="next" href="${escapeXml(next)}"/>`}` +
    `${entries.map((entry) => writeEntry(entry, base)).join("")}</feed>`
  );
}

/** What the service answers for a queue or topic that does not exist: a list of services without any. */
export function writeNothing(): string {
  return (
    `<feed xmlns="${ATOM}"><title type="text">Publicly Listed Services</title>` +
    `<subtitle type="text">This is the list of publicly-listed services currently available.</subtitle><id>uuid:${randomUUID()};id=1</id>` +
    `${tag("updated", time(Date.now()))}<generator>Service Bus 1.1</generator></feed>`
  );
}

/** The body of a refusal. */
export function writeError(status: number, detail: string): string {
  const trace = `TrackingId:${randomUUID()}, SystemTracker:emulator, Timestamp:${new Date().toISOString().slice(0, 19)}`;
  return `<Error>${tag("Code", status)}${tag("Detail", `${detail} ${trace}`)}</Error>`;
}

const time = (milliseconds: number): string => new Date(milliseconds).toISOString();
