import type { BusOptions } from "../contracts/bus-options.js";
import type { EndpointOptions } from "../contracts/endpoint-options.js";
import type { Logger } from "../contracts/logger.js";
import type { MessageClass } from "../contracts/message-class.js";
import type { Store } from "../contracts/store.js";
import { memoryStore } from "../deduplication/memory-store.js";
import { safeLogger } from "../logger/safe-logger.js";
import { stderrLogger } from "../logger/stderr-logger.js";
import { checkTransportOption, type TransportOption } from "../transport-loader.js";
import { parseDuration } from "../util/duration.js";
import { Mistakes } from "../util/mistakes.js";
import { mistakeInEndpointName, mistakeInHeaderName, mistakeInMessageType, mistakeInNamePrefix } from "../util/names.js";
import { isOptionsObject } from "../util/options-object.js";
import * as defaults from "./defaults.js";
import { checkShared, duration, SHARED_KEYS, wholeNumber } from "./endpoint-settings.js";
import { show } from "./show.js";

/** {@link BusOptions} with every default filled in. */
export interface BusSettings {
  readonly service: string;
  readonly transport: TransportOption;
  readonly store: Store;
  readonly resolve: BusOptions["resolve"];
  readonly publishes: readonly MessageClass[];
  readonly topology: "create" | "verify" | "none";
  readonly namePrefix: string;
  readonly propagateHeaders: readonly string[];
  readonly ambientContext: boolean;
  readonly publishTimeoutMs: number;
  readonly maxPendingPublishes: number;
  /** `undefined`: the default, or less where the transport takes less. */
  readonly maxMessageBytes: number | undefined;
  readonly logger: Logger;
  /** What the bus gives to all its endpoints, as it was given. */
  readonly endpointDefaults: EndpointOptions;
}

const BUS_KEYS: readonly (keyof BusOptions)[] = [
  ...SHARED_KEYS,
  "service",
  "transport",
  "store",
  "resolve",
  "publishes",
  "topology",
  "namePrefix",
  "propagateHeaders",
  "ambientContext",
  "publishTimeout",
  "maxPendingPublishes",
  "maxMessageBytes",
  "logger",
];

/** Checks and resolves the options of a bus. @throws TrolleybusError "configuration" listing every mistake. */
export function resolveBusSettings(options: BusOptions): BusSettings {
  const mistakes = new Mistakes();
  if (!isOptionsObject(options)) mistakes.add("createBus is given an object of options, with `service` and `transport`.");
  else checkBusOptions(options, mistakes);
  mistakes.throwIfAny("createBus cannot make this bus");
  return {
    service: options.service,
    transport: options.transport,
    store: options.store ?? memoryStore(),
    resolve: options.resolve,
    publishes: options.publishes ?? [],
    topology: options.topology ?? "create",
    namePrefix: options.namePrefix ?? "",
    propagateHeaders: options.propagateHeaders ?? [],
    ambientContext: options.ambientContext ?? true,
    publishTimeoutMs: parseDuration(options.publishTimeout) ?? defaults.PUBLISH_TIMEOUT_MS,
    maxPendingPublishes: options.maxPendingPublishes ?? defaults.MAX_PENDING_PUBLISHES,
    maxMessageBytes: options.maxMessageBytes,
    logger: options.logger ? safeLogger(options.logger) : stderrLogger,
    endpointDefaults: { ...options },
  };
}

function checkBusOptions(options: BusOptions, mistakes: Mistakes): void {
  const where = "the bus";
  mistakes.unknownKeys(where, options, [...BUS_KEYS, ...("order" in options ? ["order"] : [])]);
  if ("order" in options) {
    mistakes.add(
      "the bus: order is an option of an endpoint, since it decides arguments of its queue. For the service's own: bus.endpoint(service, { order }).",
    );
  }
  const nameMistake = typeof options.service === "string" ? mistakeInEndpointName(options.service) : `it is ${show(options.service)}`;
  if (nameMistake) mistakes.add(`the bus: service names the service and its own endpoint; ${nameMistake}`);
  checkTransportOption(options.transport, mistakes);
  checkShared(where, options, mistakes);
  checkChoices(options, mistakes);
  duration(where, "publishTimeout", options.publishTimeout, 1, mistakes);
  wholeNumber(where, "maxPendingPublishes", options.maxPendingPublishes, 1, mistakes);
  wholeNumber(where, "maxMessageBytes", options.maxMessageBytes, 1, mistakes);
  for (const type of list("publishes", "classes of messages", options.publishes, mistakes)) {
    const mistake = typeof type?.messageType === "string" ? mistakeInMessageType(type.messageType) : "it has no static messageType";
    if (mistake) mistakes.add(`the bus: publishes lists ${typeof type === "function" ? type.name : show(type)}; ${mistake}`);
  }
}

function list<T>(name: string, what: string, given: readonly T[] | undefined, mistakes: Mistakes): readonly T[] {
  if (given === undefined || Array.isArray(given)) return given ?? [];
  mistakes.add(`the bus: ${name} is ${show(given)}; it is a list of ${what}.`);
  return [];
}

function checkChoices(options: BusOptions, mistakes: Mistakes): void {
  const { topology, namePrefix, ambientContext, resolve, store, logger } = options;
  if (topology !== undefined && !["create", "verify", "none"].includes(topology)) {
    mistakes.add(`the bus: topology is ${show(topology)}; it is "create", "verify" or "none".`);
  }
  const prefixMistake = namePrefix === undefined ? undefined : mistakeInNamePrefix(namePrefix);
  if (prefixMistake) mistakes.add(`the bus: namePrefix: ${prefixMistake}`);
  for (const name of list("propagateHeaders", "names", options.propagateHeaders, mistakes)) {
    const mistake = mistakeInHeaderName(name);
    if (mistake) mistakes.add(`the bus: propagateHeaders: ${mistake}`);
  }
  if (ambientContext !== undefined && typeof ambientContext !== "boolean")
    mistakes.add(`the bus: ambientContext is ${show(ambientContext)}; it is true or false.`);
  if (resolve !== undefined && typeof resolve !== "function")
    mistakes.add(`the bus: resolve is ${show(resolve)}; it is a function that makes a consumer of its class.`);
  if (store !== undefined && typeof store?.claim !== "function")
    mistakes.add(`the bus: store is ${show(store)}; it is made by memoryStore() or another store of the package.`);
  const silent = (["debug", "info", "warn", "error"] as const).filter(
    (level) => logger !== undefined && typeof logger?.[level] !== "function",
  );
  if (silent.length > 0) mistakes.add(`the bus: logger has no ${silent.join(", ")}; it has the four methods debug, info, warn and error.`);
}
