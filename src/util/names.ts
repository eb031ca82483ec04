/**
 * The one grammar of names, narrow enough for every broker. Each function gives a sentence that says what is wrong, or
 * `undefined` when nothing is.
 */

const MAX_TYPE_LENGTH = 200;
const MAX_ENDPOINT_LENGTH = 50;
const MAX_PREFIX_LENGTH = 20;
const MAX_HEADER_NAME_LENGTH = 64;

/** The adapters name queues and topics `<endpoint>.retry.10s`, `<endpoint>.suspect` and `<endpoint>.dead-letter`. */
const RESERVED_PARTS: readonly string[] = ["retry", "suspect", "dead-letter"];

/** 1 to 200 letters, digits, `.` and `-`; starts and ends with a letter or digit; not `amq.`; no reserved part. */
export function mistakeInMessageType(name: unknown): string | undefined {
  return mistakeInName("message type", name, MAX_TYPE_LENGTH, /[^A-Za-z0-9.-]/, 'letters, digits, "." and "-"');
}

/** 1 to 50 of `[a-z0-9.-]`; starts and ends with a letter or digit; not `amq.`; no reserved part. */
export function mistakeInEndpointName(name: unknown): string | undefined {
  return mistakeInName("endpoint name", name, MAX_ENDPOINT_LENGTH, /[^a-z0-9.-]/, 'lower-case letters, digits, "." and "-"');
}

/** Empty, or at most 20 of `[a-z0-9.-]`, starting with a letter or digit; not `amq.`; no reserved part. It may end with `.` or `-`. */
export function mistakeInNamePrefix(prefix: unknown): string | undefined {
  if (prefix === "") return undefined;
  return mistakeInName("name prefix", prefix, MAX_PREFIX_LENGTH, /[^a-z0-9.-]/, 'lower-case letters, digits, "." and "-"');
}

/** 1 to 64 lower-case letters, digits and `-`; `tb-` is reserved for what the bus itself adds. */
export function mistakeInHeaderName(name: unknown): string | undefined {
  if (typeof name !== "string") return `The header name is ${kindOf(name)}, not text.`;
  if (name === "") return "The header name is empty.";
  if (name.length > MAX_HEADER_NAME_LENGTH) {
    return `The header name ${quoted(name)} has ${name.length} characters; at most ${MAX_HEADER_NAME_LENGTH} are allowed.`;
  }
  if (/[^a-z0-9-]/.test(name)) return `The header name ${quoted(name)} may hold only lower-case letters, digits and "-".`;
  if (name.startsWith("tb-")) return `The header name ${quoted(name)} starts with "tb-", which is reserved for the bus.`;
  return undefined;
}

function mistakeInName(kind: string, name: unknown, maxLength: number, forbidden: RegExp, allowed: string): string | undefined {
  if (typeof name !== "string") return `The ${kind} is ${kindOf(name)}, not text.`;
  if (name === "") return `The ${kind} is empty.`;
  const what = `The ${kind} ${quoted(name)}`;
  if (name.length > maxLength) return `${what} has ${name.length} characters; at most ${maxLength} are allowed.`;
  const wrong = forbidden.exec(name);
  if (wrong) {
    const why = wrong[0] === "_" ? ' (Kafka takes "_" and "." for the same)' : "";
    return `${what} has ${quoted(wrong[0])}: only ${allowed} are allowed${why}.`;
  }
  if (/^[.-]/.test(name)) return `${what} must start with a letter or digit.`;
  if (kind !== "name prefix" && /[.-]$/.test(name)) return `${what} must end with a letter or digit.`;
  const lowerCase = name.toLowerCase();
  if (lowerCase.startsWith("amq.")) return `${what} starts with "amq.", which RabbitMQ keeps for itself.`;
  const reserved = lowerCase.split(".").find((part) => RESERVED_PARTS.includes(part));
  if (reserved) return `${what} has the part "${reserved}" between dots, which is reserved for the queues that the bus makes.`;
  return undefined;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 250 ? `${text.slice(0, 250)}...` : text);
}

function kindOf(value: unknown): string {
  return value === null ? "null" : typeof value;
}
