import type { Logger } from "../contracts/logger.js";
import { describeError } from "../retry/describe-error.js";
import { stderrLogger } from "./stderr-logger.js";

/** The user's logger, made harmless: what it throws fails no message and ends no process, and is told to `process.stderr`, once. */
export function safeLogger(logger: Logger): Logger {
  let hasFailed = false;
  const write = (level: keyof Logger, text: string, fields: object | undefined): void => {
    try {
      if (fields === undefined) logger[level](text);
      else logger[level](text, fields);
    } catch (error) {
      if (hasFailed) return;
      hasFailed = true;
      stderrLogger.error(`The logger given to the bus throws, so that lines may be missing from the log: ${describeError(error).message}`);
    }
  };
  return {
    debug: (text, fields) => write("debug", text, fields),
    info: (text, fields) => write("info", text, fields),
    warn: (text, fields) => write("warn", text, fields),
    error: (text, fields) => write("error", text, fields),
  };
}
