import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { SharedKeyAuthorizer } from "../authorization/shared-key-authorizer.js";
import { BrokerError } from "../broker/broker-error.js";
import type { ServiceBusNamespace } from "../broker/service-bus-namespace.js";
import { Administration, type AdministrationResponse } from "./administration.js";
import { writeError } from "./atom.js";
import type { FaultHooks } from "./fault-hooks.js";

export interface AdministrationServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly namespace: ServiceBusNamespace;
  readonly namespaceName: string;
  readonly authorizer: SharedKeyAuthorizer;
  readonly faults: FaultHooks;
}

export interface AdministrationServer {
  readonly port: number;
  stop(): Promise<void>;
}

const LARGEST_BODY = 1_048_576;
const REQUEST_TIMEOUT = 30_000;
/**
 * How long a connection may be unused, milliseconds. Clients keep theirs for the next request, Go's for 90 seconds and Java's without an end: a request
 * that crosses the closing of its connection fails.
 */
const KEEP_ALIVE_TIMEOUT = 600_000;

/** What an AMQP condition is over HTTP, and the service's code beneath it. */
const STATUSES: Readonly<Record<string, readonly [status: number, subCode: string]>> = {
  "amqp:unauthorized-access": [401, "40100"],
  "amqp:not-found": [404, "40400"],
  "com.microsoft:entity-already-exists": [409, "40900"],
  "amqp:invalid-field": [400, "40000"],
  "amqp:not-implemented": [501, "50100"],
  "com.microsoft:server-busy": [503, "50300"],
};

/** Serves the administration API, the health page and the fault hooks. Rejects with the system's error when the port is taken. */
export async function startAdministration(options: AdministrationServerOptions): Promise<AdministrationServer> {
  const requests = new Requests(options);
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT, keepAliveTimeout: KEEP_ALIVE_TIMEOUT }, (request, response) => {
    requests.serve(request, response).catch((error: unknown) => requests.fail(response, error));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  return { port: (server.address() as AddressInfo).port, stop: () => stop(server) };
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

class Requests {
  readonly #options: AdministrationServerOptions;
  readonly #administration: Administration;

  constructor(options: AdministrationServerOptions) {
    this.#options = options;
    this.#administration = new Administration(options.namespace, options.namespaceName);
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const host = request.headers.host ?? `${this.#options.host}:${this.#options.port}`;
    const url = new URL(request.url ?? "/", `http://${host}`);
    const path = decodePath(url.pathname);
    if (path.toLowerCase() === "health") return sendJson(response, 200, { status: "healthy", message: "Service healthy." });
    if (path.startsWith("_emulator/")) {
      const answer = this.#options.faults.handle(request.method ?? "GET", path.slice("_emulator/".length), url.searchParams);
      return sendJson(response, answer.status, answer.body);
    }
    const body = await readBody(request);
    if (body === undefined)
      return sendXml(response, { status: 413, body: writeError(413, `The body is larger than ${LARGEST_BODY} bytes.`) });
    const method = request.method ?? "GET";
    this.#authorize(request, method, path, host);
    const isUpdate = request.headers["if-match"] !== undefined;
    const answer = this.#administration.handle({ method, path, query: url.searchParams, isUpdate, body, host });
    await this.#options.namespace.kept();
    sendXml(response, answer);
  }

  fail(response: ServerResponse, error: unknown): void {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const text = error instanceof Error ? error.message : String(error);
    const [status, subCode] = (error instanceof BrokerError ? STATUSES[error.condition] : undefined) ?? [
      error instanceof BrokerError || error instanceof URIError || error instanceof TypeError ? 400 : 500,
      "40000",
    ];
    const reason = reasonOf(text);
    if (reason) response.statusMessage = reason;
    sendXml(response, {
      status,
      body: writeError(status, /^(SubCode=|Manage,|Authorization failed)/.test(text) ? text : `SubCode=${subCode}. ${text}`),
    });
  }

  #authorize(request: IncomingMessage, method: string, path: string, host: string): void {
    const token = request.headers.authorization;
    if (!token) throw new BrokerError("amqp:unauthorized-access", "MissingToken: The request has no Authorization header.");
    const { rights } = this.#options.authorizer.verify(token, `sb://${host}/${path}`);
    if (rights.has("Manage") || (method === "GET" && this.#administration.isNothing(path))) return;
    throw new BrokerError("amqp:unauthorized-access", missingRight(method, path));
  }
}

/** In the service's words, by which clients and people recognise it. */
function missingRight(method: string, path: string): string {
  const [, child, name] = /\/(subscription|rule)s(\/[^/]+)?$/i.exec(path) ?? [];
  if (child) {
    const entity = `${child.charAt(0).toUpperCase()}${child.slice(1).toLowerCase()}`;
    const read = name === undefined ? `Enumerate${entity}s` : `Get${entity}`;
    const operation = method === "PUT" ? `CreateOrUpdate${entity}` : method === "DELETE" ? `Delete${entity}` : read;
    return `SubCode=40100: Unauthorized : Unauthorized access for '${operation}' operation on '/${path}'. 'Manage' claims are required.`;
  }
  if (method === "GET") return "Manage,EntityRead claims required for this operation.";
  return `Authorization failed for specified action: Manage,${method === "DELETE" ? "EntityDelete" : "EntityWrite"}.`;
}

/** @throws URIError when the path is wrongly encoded. */
function decodePath(pathname: string): string {
  return decodeURIComponent(pathname).replace(/^\/+|\/+$/g, "");
}

/** `undefined` when it is too large. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= LARGEST_BODY) chunks.push(chunk);
  }
  return length > LARGEST_BODY ? undefined : Buffer.concat(chunks).toString("utf8");
}

/** The service tells who lacks a right for a subscription or a rule so in the status line, where Go's client reads it. */
function reasonOf(text: string): string | undefined {
  return text.startsWith("SubCode=40100: ") ? text.replace(/[^\x20-\x7e]/g, "?") : undefined;
}

function sendXml(response: ServerResponse, { status, body }: AdministrationResponse): void {
  const type = body.startsWith("<feed") ? "feed" : "entry";
  send(
    response,
    status,
    body === "" ? undefined : status < 300 ? `application/atom+xml;type=${type};charset=utf-8` : "application/xml; charset=utf-8",
    body,
  );
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  send(response, status, "application/json; charset=utf-8", JSON.stringify(body));
}

function send(response: ServerResponse, status: number, type: string | undefined, body: string): void {
  response.writeHead(status, { ...(type ? { "content-type": type } : {}), "content-length": Buffer.byteLength(body) });
  response.end(body);
}
