import type { WriteStream } from "node:tty";

const CODES = {
  bold: "1",
  dim: "2",
  red: "31",
  green: "32",
  yellow: "33",
  blue: "34",
  magenta: "35",
  cyan: "36",
} as const;

export type Colour = keyof typeof CODES;
export type Paint = (text: string, ...colours: readonly Colour[]) => string;

/** Colours for a terminal; plain text for a file, a pipe, or with NO_COLOR. FORCE_COLOR wins over the pipe (https://force-color.org). */
export function paintFor(stream: Pick<WriteStream, "isTTY">, env: NodeJS.ProcessEnv): Paint {
  const forced = env["FORCE_COLOR"] !== undefined && env["FORCE_COLOR"] !== "" && env["FORCE_COLOR"] !== "0";
  const refused = Boolean(env["NO_COLOR"]) || env["FORCE_COLOR"] === "0" || env["TERM"] === "dumb";
  if (!forced && (refused || !stream.isTTY)) return (text) => text;
  return (text, ...colours) => (text === "" ? "" : `\x1b[${colours.map((colour) => CODES[colour]).join(";")}m${text}\x1b[0m`);
}
