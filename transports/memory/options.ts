import type { TransportConfig } from "../../src/contracts/bus-options.js";
import { Mistakes } from "../../src/util/mistakes.js";
import { isOptionsObject } from "../../src/util/options-object.js";

/** What `memory()` takes. */
export interface MemoryOptions {
  /**
   * Most messages that an endpoint may have at one time: waiting, being handled and waiting for a delayed retry, together. When it is
   * reached, what is sent there is refused with "unavailable" and the bus tries again within its `publishTimeout`; an event is refused
   * as a whole when one of its endpoints is full. Of what handlers publish it takes as many again, so that handlers that publish to their own endpoint, or to each
   * other's, do not wait for each other for ever; beyond that what a handler publishes to its own endpoint is refused for good. Retries and dead letters are never refused: they take the place of a message that is
   * held already. Dead letters are not counted, they stay until somebody decides about them.
   * @default 100_000
   */
  readonly maxQueueLength?: number;
}

/** @default of {@link MemoryOptions.maxQueueLength} */
export const DEFAULT_MAX_QUEUE_LENGTH = 100_000;

/** The name of a broker and its options, as a URL or a configuration object gave them. */
export interface NamedOptions {
  /** "" for the broker of `memory:`. */
  readonly name: string;
  readonly options: Required<MemoryOptions>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/;
const NAME_RULE = "1 to 50 letters, digits, dots, _ and -, beginning with a letter or digit";

/** @throws TrolleybusError "configuration" listing every mistake. */
export function resolveOptions(given: MemoryOptions): Required<MemoryOptions> {
  const mistakes = new Mistakes();
  if (isOptionsObject(given)) mistakes.unknownKeys("memory()", given, ["maxQueueLength"]);
  else mistakes.add("the options must be an object, such as { maxQueueLength: 1000 }.");
  const maxQueueLength = queueLength(given?.maxQueueLength, "maxQueueLength", mistakes);
  mistakes.throwIfAny("Wrong options for memory()");
  return { maxQueueLength };
}

/** @throws TrolleybusError "configuration" listing every mistake. */
export function optionsFromConfig(config: TransportConfig): NamedOptions {
  const mistakes = new Mistakes();
  if (config.type !== "memory") mistakes.add(`type must be "memory", not ${JSON.stringify(config.type)}.`);
  mistakes.unknownKeys("the memory transport", config, ["type", "name", "maxQueueLength"]);
  const given: Readonly<Record<string, unknown>> = config;
  const { name } = given;
  if (name !== undefined && !(typeof name === "string" && NAME.test(name))) {
    mistakes.add(`name must be ${NAME_RULE}, not ${JSON.stringify(name)}. Leave it out for the broker of "memory:".`);
  }
  const maxQueueLength = queueLength(given["maxQueueLength"], "maxQueueLength", mistakes);
  mistakes.throwIfAny("Wrong options for the memory transport");
  return { name: typeof name === "string" ? name : "", options: { maxQueueLength } };
}

/** @throws TrolleybusError "configuration" listing every mistake. */
export function optionsFromUrl(url: string): NamedOptions {
  const mistakes = new Mistakes();
  const [, scheme, name = "", query] = /^(memory:)?([^?]*)(?:\?(.*))?$/is.exec(url) ?? [];
  if (scheme === undefined) mistakes.add('the URL must begin with "memory:".');
  if (name !== "" && !NAME.test(name)) {
    mistakes.add(`"${name}" cannot be the name of a broker: write memory:NAME, without slashes, where NAME is ${NAME_RULE}.`);
  }
  const parameters = new URLSearchParams(query);
  mistakes.unknownKeys("the memory: URL", Object.fromEntries(parameters), ["max-queue-length"]);
  const [text, ...more] = parameters.getAll("max-queue-length");
  if (more.length > 0) mistakes.add("max-queue-length is given more than once.");
  const length = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : text;
  const maxQueueLength = queueLength(length, "max-queue-length", mistakes);
  mistakes.throwIfAny("Wrong URL for the memory transport");
  return { name, options: { maxQueueLength } };
}

function queueLength(value: unknown, name: string, mistakes: Mistakes): number {
  if (value === undefined) return DEFAULT_MAX_QUEUE_LENGTH;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return value;
  mistakes.add(`${name} must be a whole number of messages, at least 1, not ${JSON.stringify(value) ?? String(value)}.`);
  return DEFAULT_MAX_QUEUE_LENGTH;
}
