import type { Logger } from "../contracts/logger.js";
import type { RememberedRetry } from "../endpoint/remembered-retries.js";
import { classify, type Verdict } from "../retry/classify.js";
import { describeError } from "../retry/describe-error.js";
import { failureHeaders } from "../retry/failure-headers.js";
import { type FailureHistory, readFailureHistory } from "../retry/failure-history.js";
import { backoffWithFullJitter } from "../util/backoff.js";
import { formatDuration } from "../util/duration.js";
import { Abandoned, BusyElsewhere, RunAgain } from "./control.js";
import type { EndpointContext } from "./endpoint-context.js";
import { type IncomingMessage, type PipelineStep, RELEASE, type Stage } from "./incoming-message.js";
import { waitWith } from "./wait-with.js";

/**
 * Runs the message until it has succeeded or the round is over: immediate runs here, then a delayed retry, which the broker holds
 * or, with `order: "key"`, the lane. What is given up on is dead-lettered.
 */
export function retry(endpoint: EndpointContext): PipelineStep {
  return (message, next) => {
    const history = readFailureHistory(message.delivery.headers);
    const remembered = endpoint.remembered.recall(idOf(message));
    // Another instance may have brought it further since, and stored it with what it knows.
    if (remembered && remembered.history.attempts > history.attempts) return goOn(message, next, remembered);
    message.attempt = history.attempts + 1;
    let running: Promise<void> | undefined;
    try {
      running = next(message);
    } catch (error) {
      running = Promise.reject(error);
    }
    return running && runs(message, next, history, 0, running);
  };

  async function goOn(message: IncomingMessage, next: Stage, stood: RememberedRetry): Promise<void> {
    if (await waitInLane(endpoint, message, stood)) await runs(message, next, stood.history, stood.atOnce, undefined);
  }

  /**
   * @param atOnceBefore immediate retries that this round has had
   * @param first the run that is under way, if one is
   */
  async function runs(
    message: IncomingMessage,
    next: Stage,
    before: FailureHistory,
    atOnceBefore: number,
    first: Promise<void> | undefined,
  ): Promise<void> {
    let history = before;
    let running = first;
    for (let atOnce = atOnceBefore; ; running = undefined) {
      message.attempt = history.attempts + 1;
      let verdict: Verdict | "again" | "void";
      try {
        await (running ?? next(message));
        return;
      } catch (error) {
        verdict = await judge(endpoint, message, error);
      }
      if (verdict === "again") continue;
      if (verdict === "void") return giveBack(endpoint, message, { history, atOnce, dueAt: performance.now() });
      // A run that timed out may still go on, and do what it is suspected of.
      if (verdict.reason !== "timed-out") message.delivery.survived?.();
      history = { attempts: history.attempts + 1, round: history.round, firstFailedAt: history.firstFailedAt ?? new Date() };
      if (verdict.again === "at-once" && atOnce < endpoint.settings.retry.immediate) {
        const ms = backoffWithFullJitter(atOnce++, endpoint.settings.retry.immediateDelayMs, endpoint.settings.handlerTimeoutMs);
        // Begun work may go on while the bus stops, so only the deadline cuts this wait.
        if (await waitWith(message.delivery, ms, endpoint.abandoned)) continue;
        return giveBack(endpoint, message, { history, atOnce, dueAt: performance.now() });
      }
      const delayMs = verdict.again === "never" ? undefined : endpoint.settings.retry.delaysMs[history.round];
      if (delayMs === undefined) return giveUp(endpoint, message, verdict, history);
      history = { ...history, round: history.round + 1 };
      warnOfDelay(endpoint, message, verdict, delayMs);
      if (endpoint.settings.order === "none") return retryLater(endpoint, message, verdict, history, delayMs);
      endpoint.counts.retried++;
      atOnce = 0;
      if (!(await waitInLane(endpoint, message, { history, atOnce, dueAt: performance.now() + delayMs }))) return;
    }
  }
}

/** Why a run failed. "again": it did not count. "void": nor will another, here. */
async function judge(endpoint: EndpointContext, message: IncomingMessage, error: unknown): Promise<Verdict | "again" | "void"> {
  if (error instanceof RunAgain) return "again";
  if (error instanceof BusyElsewhere && (await waitWith(message.delivery, error.againInMs, endpoint.closing))) return "again";
  if (error instanceof Abandoned || error instanceof BusyElsewhere) return "void";
  const verdict = classify(error, endpoint.settings.retry, endpoint.bus.logger);
  logFailure(endpoint.bus.logger, endpoint.name, message, verdict);
  return verdict;
}

/** Waits for the due time in the lane; false when the wait was cut, and the message then goes back. */
async function waitInLane(endpoint: EndpointContext, message: IncomingMessage, stands: RememberedRetry): Promise<boolean> {
  const waited = await waitWith(message.delivery, stands.dueAt - performance.now(), endpoint.closing);
  if (!waited) giveBack(endpoint, message, stands);
  return waited;
}

/** What no header carries is remembered, should the message come back to this process: begun anew each time, slow runs would never come to an end. */
function giveBack(endpoint: EndpointContext, message: IncomingMessage, stands: RememberedRetry): void {
  if (stands.history.attempts > readFailureHistory(message.delivery.headers).attempts) endpoint.remembered.remember(idOf(message), stands);
  message.settlement = RELEASE;
}

function retryLater(endpoint: EndpointContext, message: IncomingMessage, verdict: Verdict, history: FailureHistory, delayMs: number): void {
  message.settlement = { as: "retry", delayMs, failure: headersOf(endpoint, message, verdict, history) };
}

function giveUp(endpoint: EndpointContext, message: IncomingMessage, verdict: Verdict, history: FailureHistory): void {
  message.settlement = { as: "dead-letter", failure: headersOf(endpoint, message, verdict, history) };
}

function headersOf(
  endpoint: EndpointContext,
  message: IncomingMessage,
  verdict: Verdict,
  history: FailureHistory,
): ReturnType<typeof failureHeaders> {
  const { reason, error } = verdict;
  return failureHeaders({ reason, error, history, endpoint: endpoint.name, source: message.delivery.source, now: new Date() });
}

function logFailure(logger: Logger, endpoint: string, message: IncomingMessage, verdict: Verdict): void {
  const { messageId, messageType } = message.envelope ?? {};
  logger.debug(`A run of ${messageType} failed at endpoint "${endpoint}".`, {
    messageId,
    attempt: message.attempt,
    reason: verdict.reason,
    error: verdict.error,
  });
}

// An error of each round, for it may be hours until the message is a dead letter.
function warnOfDelay(endpoint: EndpointContext, message: IncomingMessage, { reason, error }: Verdict, delayMs: number): void {
  const { messageId, messageType } = message.envelope ?? {};
  endpoint.bus.logger.warn(
    `${messageType} failed at endpoint "${endpoint.name}" (${message.attempt} so far), and is tried again in ${formatDuration(delayMs)}: ${describeError(error).message}`,
    { messageId, reason, error },
  );
}

const idOf = (message: IncomingMessage): string => message.envelope?.messageId ?? "";
