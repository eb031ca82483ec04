import { setMaxListeners } from "node:events";
import type { OutgoingMessage, SendResult, TopologyPlan, Transport, TransportHost } from "../contracts/transport.js";
import { TrolleybusError } from "../errors.js";
import type { BusSettings } from "../options/bus-settings.js";
import type { SendTarget } from "../outgoing/sender.js";
import { loadTransport } from "../transport-loader.js";

const NOTHING: TopologyPlan = { events: [], endpoints: [] };

/** The bus's one connection: loads its transport, opens it once, and makes the topology of a type before its first message. */
export class BusConnection implements SendTarget {
  readonly #settings: BusSettings;
  readonly #host: TransportHost;
  readonly #closed = new AbortController();
  readonly #events: Map<string, Promise<void> | "ready"> = new Map();
  #transport: Transport | undefined;
  #opening: Promise<Transport> | undefined;
  #opened = false;

  constructor(settings: BusSettings, host: TransportHost) {
    this.#settings = settings;
    this.#host = host;
    setMaxListeners(0, this.#closed.signal);
  }

  /** Known once it is open. */
  get transport(): Transport | undefined {
    return this.#transport;
  }

  /** Whether it has been opened; how it is since then the transport tells. */
  get hasOpened(): boolean {
    return this.#opened;
  }

  /** Opens it, once; after a failure, at the next call anew. @throws what the transport says, or "stopped" */
  open(): Promise<Transport> {
    if (this.#closed.signal.aborted) return Promise.reject(stopped(undefined));
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** Makes or verifies what the plan names, as the `topology` option says. */
  async provision(plan: TopologyPlan): Promise<void> {
    const { topology } = this.#settings;
    if (topology !== "none") await (await this.open()).provision(plan, topology);
    for (const type of plan.events) this.#events.set(type, "ready");
  }

  prepare({ to }: OutgoingMessage): Promise<void> | undefined {
    if (!this.#opened) return this.open().then(() => ("event" in to ? this.#prepareEvent(to.event) : undefined) ?? undefined);
    return "event" in to ? this.#prepareEvent(to.event) : undefined;
  }

  send(messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<readonly SendResult[]> {
    const transport = this.#transport;
    if (!transport)
      throw new TrolleybusError("unavailable", "The connection to the broker is not open.", { cause: undefined, retryable: true });
    return transport.send(messages, signal);
  }

  async close(deadline: number): Promise<void> {
    this.#closed.abort();
    await this.#transport?.close(deadline);
  }

  async #open(): Promise<Transport> {
    const { signal } = this.#closed;
    const transport = this.#transport ?? (await loadTransport(this.#settings.transport));
    if (signal.aborted) throw stopped(undefined);
    // Kept from here on, so that an opening that goes on is closed too.
    this.#transport = transport;
    try {
      await transport.open(this.#host, signal);
    } catch (error) {
      throw signal.aborted ? stopped(error) : error;
    }
    if (signal.aborted) throw stopped(undefined);
    this.#opened = true;
    return transport;
  }

  #prepareEvent(type: string): Promise<void> | undefined {
    const state = this.#events.get(type);
    if (state === "ready") return undefined;
    if (state) return state;
    const made = this.provision({ ...NOTHING, events: [type] }).then(
      () => void this.#events.set(type, "ready"),
      (error: unknown) => {
        this.#events.delete(type);
        throw error;
      },
    );
    this.#events.set(type, made);
    return made;
  }
}

function stopped(cause: unknown): TrolleybusError {
  return new TrolleybusError("stopped", "The bus has stopped.", { cause, retryable: false });
}
