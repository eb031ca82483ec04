import type { ServiceName } from "../services/index.js";
import type { Line, Reporter } from "../services/service.js";

/** A line of the account with its time and place, or a line of a service's log. Plain data: it may come from another process. */
export type Report = { readonly service: ServiceName /** Milliseconds since 1970, with fractions. */; readonly at: number } & (
  | { readonly kind: "line"; readonly line: Line }
  | { readonly kind: "log"; readonly level: "warn" | "error"; readonly text: string }
);

export type OnReport = (report: Report) => void;

/** One clock for all processes of the machine, finer than a millisecond. */
export const now = (): number => performance.timeOrigin + performance.now();

export function reporterOf(service: ServiceName, onReport: OnReport): Reporter {
  const log = (level: "warn" | "error", text: string): void => onReport({ kind: "log", service, at: now(), level, text });
  return {
    tell: (line) => onReport({ kind: "line", service, at: now(), line }),
    logger: {
      debug: () => {},
      info: () => {},
      warn: (text) => log("warn", text),
      error: (text) => log("error", text),
    },
  };
}
