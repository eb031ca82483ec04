import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Request {
  /** What stands for `:id` in the route, else empty. */
  readonly id: string;
  /** The JSON body, `undefined` when there is none. */
  readonly body: unknown;
}
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}
/** `"GET /orders/:id"` to what answers it. */
export type Routes = Readonly<Record<string, (request: Request) => Reply | Promise<Reply>>>;

export interface HttpServer {
  readonly url: string;
  readonly close: () => Promise<void>;
}

const MAX_BODY_BYTES = 64 * 1024;

/** Serves JSON over HTTP on loopback, on a port that the operating system chooses. */
export async function serve(routes: Routes): Promise<HttpServer> {
  const server = createServer((request, response) => void answer(routes, request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.close();
    await once(server, "close");
  };
  return { url: `http://127.0.0.1:${port}`, close };
}

async function answer(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = await route(routes, request).catch(replyTo);
  response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers });
  response.end(JSON.stringify(reply.body ?? {}));
}

async function route(routes: Routes, request: IncomingMessage): Promise<Reply> {
  const asked = `${request.method} ${request.url}`;
  for (const [pattern, handler] of Object.entries(routes)) {
    const match = new RegExp(`^${pattern.replace(":id", "([\\w-]+)")}$`).exec(asked);
    if (!match) continue;
    const text = await readText(request);
    if (text === undefined) return { status: 413, body: { error: `a body has at most ${MAX_BODY_BYTES} bytes` } };
    return handler({ id: match[1] ?? "", body: text === "" ? undefined : JSON.parse(text) });
  }
  return { status: 404, body: { error: `nothing answers ${asked}` } };
}

async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** What the client did wrong, what may go well later, and what is our own mistake. */
function replyTo(error: unknown): Reply {
  const { name, retryable } = error as { name?: string; retryable?: boolean };
  const status = name === "ZodError" || name === "SyntaxError" ? 400 : retryable ? 503 : 500;
  return { status, body: { error: error instanceof Error ? error.message : String(error) } };
}
