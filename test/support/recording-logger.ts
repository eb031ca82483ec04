import type { Logger } from "../../src/contracts/logger.js";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
  readonly fields: object | undefined;
}

/** A logger that keeps what it is told. */
export class RecordingLogger implements Logger {
  readonly lines: LogLine[] = [];

  debug(text: string, fields?: object): void {
    this.lines.push({ level: "debug", text, fields });
  }
  info(text: string, fields?: object): void {
    this.lines.push({ level: "info", text, fields });
  }
  warn(text: string, fields?: object): void {
    this.lines.push({ level: "warn", text, fields });
  }
  error(text: string, fields?: object): void {
    this.lines.push({ level: "error", text, fields });
  }

  texts(level: LogLine["level"]): readonly string[] {
    return this.lines.filter((line) => line.level === level).map((line) => line.text);
  }
}
