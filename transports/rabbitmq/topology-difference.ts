import type { ServerAnswer } from "./errors.js";

/** One thing that is in the broker in another way than it has to be. */
export interface Difference {
  /** `x-delivery-limit`, `durable`, `type`, ... */
  readonly argument: string;
  /** `undefined`: should not be there. */
  readonly wanted: string | undefined;
  /** `undefined`: is not there. */
  readonly found: string | undefined;
}

/** Reads the first difference out of what RabbitMQ answers to a declaration (406); it never tells more than one. */
export function differenceIn(answer: ServerAnswer): Difference | undefined {
  const match = /inequivalent arg '([^']+)' for (?:queue|exchange) '.*' in vhost '.*': received (.+?) but current is (.+)$/s.exec(
    answer.text,
  );
  if (answer.code !== 406 || !match?.[1]) return undefined;
  return { argument: match[1], wanted: valueIn(match[2] ?? ""), found: valueIn(match[3] ?? "") };
}

/** A value of the broker's text as an argument again: of the type of `like` where there is one. */
export function argumentOf(found: string, like: unknown): string | number | boolean {
  if (typeof like === "number" || (like === undefined && /^-?\d{1,15}$/.test(found))) return Number(found);
  if (typeof like === "boolean" || (like === undefined && /^(?:true|false)$/.test(found))) return found === "true";
  return found;
}

/** "is absent and should be 50" */
export function describe({ argument, wanted, found }: Difference): string {
  const is = found === undefined ? "is not set" : `is ${JSON.stringify(found)}`;
  return `${argument} ${is} and should ${wanted === undefined ? "not be set" : `be ${JSON.stringify(wanted)}`}`;
}

function valueIn(text: string): string | undefined {
  return text === "none" ? undefined : (/^(?:the value )?'(.*?)'(?: of type '[^']*')?$/s.exec(text)?.[1] ?? text);
}
