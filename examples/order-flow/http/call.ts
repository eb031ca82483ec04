import { setTimeout as sleep } from "node:timers/promises";

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly location: string | undefined;
}

export interface CallOptions {
  /** How long one try may take. */
  readonly timeoutMs: number;
  readonly tries: number;
  /** The wait before each further try. */
  readonly pauseMs: number;
  readonly onRetry?: (reason: string, nextTry: number) => void;
}

/** A neighbour that does not answer: it may later. */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly retryable = true;
}

/**
 * A synchronous call to a neighbour. It is made again when there was no answer in time, no connection, or "not now" (502, 503, 504):
 * so give more than one try only to what may be asked twice.
 */
export async function call(method: "GET" | "POST" | "PUT", url: string, body: unknown, options: CallOptions): Promise<Answer> {
  for (let tried = 1; ; tried++) {
    const last = tried >= options.tries;
    try {
      const answer = await callOnce(method, url, body, options.timeoutMs);
      if (last || ![502, 503, 504].includes(answer.status)) return answer;
      options.onRetry?.(`answered ${answer.status}`, tried + 1);
    } catch (error) {
      const reason = reasonOf(error, options.timeoutMs);
      if (last) throw new CallError(`${method} ${url}: ${reason}, after ${tried} of ${options.tries} tries`, { cause: error });
      options.onRetry?.(reason, tried + 1);
    }
    await sleep(options.pauseMs);
  }
}

async function callOnce(method: string, url: string, body: unknown, timeoutMs: number): Promise<Answer> {
  const response = await fetch(url, {
    method,
    signal: AbortSignal.timeout(timeoutMs),
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  return { status: response.status, body: await response.json(), location: response.headers.get("location") ?? undefined };
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (error instanceof DOMException && error.name === "TimeoutError") return `no answer within ${timeoutMs} ms`;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return `no answer (${cause instanceof Error ? cause.message : String(cause)})`;
}
