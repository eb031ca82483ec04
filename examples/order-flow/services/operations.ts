import type { Bus, DeadLetter } from "trolleybus";
import type { Routes } from "../http/serve.js";

/** What an operator is told of a dead letter. */
export interface DeadLetterSummary {
  readonly messageId: string;
  readonly messageType: string | undefined;
  readonly reason: string;
  readonly error: string;
  readonly attempts: number;
}

/** The routes that a probe and an operator use: how it goes, what was given up on, and "try that again". */
export function operations(bus: Bus): Routes {
  return {
    "GET /health": () => {
      const health = bus.health();
      return { status: health.status === "up" ? 200 : 503, body: health };
    },
    "GET /dead-letters": async () => {
      const letters: DeadLetterSummary[] = [];
      await bus.deadLetters().process((letter) => {
        letters.push(summaryOf(letter));
        return "keep";
      });
      return { status: 200, body: letters };
    },
    "POST /dead-letters/:id/replay": async ({ id }) => ({
      status: 200,
      body: await bus.deadLetters().process((letter) => (letter.messageId === id ? "replay" : "keep")),
    }),
  };
}

function summaryOf({ messageId, messageType, failure }: DeadLetter): DeadLetterSummary {
  const error = `${failure.errorName ?? "Error"}: ${failure.errorMessage ?? "unknown"}`;
  return { messageId, messageType, reason: failure.reason, error, attempts: failure.attempts };
}
