import type { Store } from "../contracts/store.js";
import type { EndpointPlan, Transport, TransportCapabilities } from "../contracts/transport.js";
import type { EndpointDefinition } from "../endpoint/endpoint-definition.js";
import { TrolleybusError } from "../errors.js";
import type { BusSettings } from "../options/bus-settings.js";
import { type EndpointSettings, resolveEndpointSettings } from "../options/endpoint-settings.js";
import { formatDuration } from "../util/duration.js";
import { Mistakes } from "../util/mistakes.js";

/** An endpoint as it will run. */
export interface PlannedEndpoint {
  readonly definition: EndpointDefinition;
  readonly settings: EndpointSettings;
  readonly plan: EndpointPlan;
}

/**
 * Resolves every endpoint and checks what can be said before anything is connected.
 * @throws TrolleybusError "configuration" with all mistakes at once
 */
export function planEndpoints(settings: BusSettings, definitions: readonly EndpointDefinition[]): readonly PlannedEndpoint[] {
  const mistakes = new Mistakes();
  const planned = definitions.map((definition) => plan(definition, settings));
  for (const endpoint of planned) checkEndpoint(endpoint, mistakes);
  checkNames(settings, planned, mistakes);
  checkClaims(settings.store, planned, mistakes);
  mistakes.throwIfAny(`The bus of service "${settings.service}" cannot start`);
  return planned;
}

/** Checks what only the transport can say. @throws TrolleybusError "unsupported" with everything that it cannot do, at once */
export function checkCapabilities(port: Transport, settings: BusSettings, planned: readonly PlannedEndpoint[]): void {
  const { name: transport, capabilities } = port;
  const found = [
    ...planned.flatMap((endpoint) => unsupportedBy(port, endpoint)),
    ...tooLongNames(transport, capabilities, settings, planned),
  ];
  const { maxMessageBytes } = settings;
  if (maxMessageBytes !== undefined && maxMessageBytes > capabilities.maxMessageBytes) {
    found.push(
      `maxMessageBytes is ${maxMessageBytes}; ${transport} takes ${capabilities.maxMessageBytes}, with room for what a failed message carries beside its body.`,
    );
  }
  if (found.length === 0) return;
  throw new TrolleybusError("unsupported", `The transport cannot do what is asked:\n${found.map((text) => `  - ${text}`).join("\n")}`, {
    cause: undefined,
    retryable: false,
  });
}

function unsupportedBy(port: Transport, endpoint: PlannedEndpoint): readonly string[] {
  const { name: transport, capabilities } = port;
  const { plan, settings, definition } = endpoint;
  const { types } = definition.consumers;
  const where = `endpoint "${plan.name}"`;
  const wrong: string[] = [];
  if (settings.order === "key" && capabilities.order === "none")
    wrong.push(`${where} asks for order: "key", which ${transport} cannot give. Take order: "none" or another transport.`);
  if (settings.order === "key" && capabilities.order === "type" && types.length > 1 && !port.ordersTogether?.(types)) {
    wrong.push(
      `${where} asks for order: "key" and takes ${types.length} types; ${transport} keeps order within one type only. Give each type an endpoint, or let the types share a topic.`,
    );
  }
  if (settings.handlerTimeoutMs >= capabilities.maxHoldMs / 2) {
    wrong.push(
      `${where} has a handlerTimeout of ${formatDuration(settings.handlerTimeoutMs)}; with ${transport} it is below ${formatDuration(Math.floor(capabilities.maxHoldMs / 2))}, half of the time that a message may be held.`,
    );
  }
  return wrong;
}

function tooLongNames(
  transport: string,
  { maxNameLength }: TransportCapabilities,
  { namePrefix, publishes }: BusSettings,
  planned: readonly PlannedEndpoint[],
): readonly string[] {
  const names = new Set([...planned.flatMap(({ plan }) => [plan.name, ...plan.subscribed]), ...publishes.map((type) => type.messageType)]);
  return [...names]
    .filter((name) => namePrefix.length + name.length > maxNameLength)
    .map((name) => `"${namePrefix}${name}" is too long for ${transport}, which takes ${maxNameLength} characters.`);
}

function plan(definition: EndpointDefinition, settings: BusSettings): PlannedEndpoint {
  const resolved = resolveEndpointSettings(definition.options, settings.endpointDefaults, settings.store.capabilities.defaultWindowMs);
  return {
    definition,
    settings: resolved,
    plan: {
      name: definition.name,
      subscribed: definition.consumers.types,
      unsubscribed: [...definition.unsubscribed],
      // With "key" a retry waits in its lane: no queue or topic is needed for it.
      retryDelaysMs: resolved.order === "key" ? [] : [...new Set(resolved.retry.delaysMs)],
      order: resolved.order,
    },
  };
}

function checkEndpoint({ definition, settings, plan: { name, subscribed, unsubscribed } }: PlannedEndpoint, mistakes: Mistakes): void {
  const where = `endpoint "${name}"`;
  if (subscribed.length === 0 && unsubscribed.length === 0)
    mistakes.add(`${where} has no consumer. Subscribe one, or leave the endpoint out.`);
  for (const type of unsubscribed) {
    if (definition.consumers.find(type)) mistakes.add(`${where} subscribes "${type}" and takes it back. Leave one of the two out.`);
  }
  if (settings.prefetch < settings.concurrency) {
    mistakes.add(
      `${where}: prefetch is ${settings.prefetch} and concurrency ${settings.concurrency}: more handlers than messages held. Set prefetch to at least the concurrency.`,
    );
  }
  const { deduplication, retry, handlerTimeoutMs } = settings;
  const span = retry.delaysMs.reduce((sum, ms) => sum + ms, 0) + handlerTimeoutMs;
  if (deduplication && deduplication.windowMs <= span) {
    mistakes.add(
      `${where}: deduplication.window is ${formatDuration(deduplication.windowMs)}, but a copy of a message can arrive ${formatDuration(span)} later: the sum of retry.delays and one handlerTimeout. Make the window longer than that, or the delays shorter.`,
    );
  }
}

function checkNames(settings: BusSettings, planned: readonly PlannedEndpoint[], mistakes: Mistakes): void {
  const endpoints = new Set(planned.map(({ plan: { name } }) => name));
  const spellings = new Map<string, string>();
  const types = new Set([
    ...planned.flatMap(({ plan: { subscribed } }) => subscribed),
    ...settings.publishes.map((type) => type.messageType),
  ]);
  for (const type of types) {
    const lower = type.toLowerCase();
    const other = spellings.get(lower);
    if (other !== undefined)
      mistakes.add(`the message types "${other}" and "${type}" differ by case alone, which some brokers take for one.`);
    spellings.set(lower, type);
    if (endpoints.has(lower))
      mistakes.add(`"${type}" is the name of a message type and of an endpoint, which Service Bus makes one entity. Rename one of them.`);
  }
}

function checkClaims({ name, capabilities }: Store, planned: readonly PlannedEndpoint[], mistakes: Mistakes): void {
  const claims = planned.reduce((sum, { settings }) => sum + (settings.deduplication ? settings.concurrency : 0), 0);
  if (claims > capabilities.maxClaims) {
    mistakes.add(
      `the store ${name} takes ${capabilities.maxClaims} claims at one time and the endpoints may need ${claims} (the sum of their concurrency): handlers would wait for each other for ever. Enlarge its pool or lower the concurrency.`,
    );
  }
}
