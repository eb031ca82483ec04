import type { ProtocolServer } from "../broker/contracts.js";
import type { ServiceBusNamespace } from "../broker/service-bus-namespace.js";

export interface FaultAnswer {
  readonly status: number;
  readonly body: object;
}

/** How long sends are throttled when the request does not say; at most an hour. */
const THROTTLED = 10_000;
const LONGEST_THROTTLE = 3_600_000;

/** What a test can make go wrong, over HTTP: "POST /_emulator/throttle?milliseconds=5000". The same is there in process. */
export class FaultHooks {
  readonly #namespace: ServiceBusNamespace;
  readonly #protocol: ProtocolServer;

  constructor(namespace: ServiceBusNamespace, protocol: ProtocolServer) {
    this.#namespace = namespace;
    this.#protocol = protocol;
  }

  handle(method: string, hook: string, query: URLSearchParams): FaultAnswer {
    const hooks: Readonly<Record<string, () => void>> = {
      "detach-links": () => this.#protocol.detachLinks(),
      "drop-connections": () => this.#protocol.dropConnections(),
      "expire-locks": () => this.#namespace.expireLocks(),
    };
    const known = ["throttle", ...Object.keys(hooks)];
    if (hook !== "throttle" && !hooks[hook])
      return { status: 404, body: { error: `There is no hook '${hook}'. There are: ${known.join(", ")}.` } };
    if (method !== "POST") return { status: 405, body: { error: "Hooks are called with POST." } };
    if (hook === "throttle") return this.#throttle(query);
    hooks[hook]?.();
    return { status: 200, body: { done: hook } };
  }

  #throttle(query: URLSearchParams): FaultAnswer {
    const milliseconds = Number(query.get("milliseconds") ?? THROTTLED);
    if (!(milliseconds >= 0 && milliseconds <= LONGEST_THROTTLE)) {
      return { status: 400, body: { error: `milliseconds is '${query.get("milliseconds")}', but must be from 0 to ${LONGEST_THROTTLE}.` } };
    }
    this.#namespace.throttle(milliseconds);
    return { status: 200, body: { done: "throttle", milliseconds } };
  }
}
