import assert from "node:assert/strict";
import {
  type Bus,
  type BusOptions,
  type ConsumerOf,
  createBus,
  type DeadLetter,
  type Duration,
  type Endpoint,
  type EndpointOptions,
  type Health,
  type Logger,
  type TransportCapabilities,
} from "../../src/index.js";
import { Collector } from "./collector.js";
import { Gate } from "./gate.js";
import { type Note, type NoteClass, noteClass } from "./note.js";
import type { ConformanceOptions } from "./options.js";
import { RawBroker } from "./raw-broker.js";

/** How long a test waits for one thing before it fails, with a patience of 1. */
const WAIT_MS = 15_000;

export type EndpointHealth = Health["endpoints"][number];

/** What one test works with: names that no other test has, buses that are stopped at its end, and ways of waiting. */
export class Stage {
  readonly capabilities: TransportCapabilities;
  readonly #options: ConformanceOptions;
  readonly #waitMs: number;
  readonly #suffix: string = Math.random().toString(36).slice(2, 8).padEnd(6, "0");
  readonly #endpoints: string[] = [];
  readonly #messageTypes: string[] = [];
  readonly #retryDelays = new Set<Duration>();
  readonly #namePrefixes: Set<string>;
  readonly #buses: Bus[] = [];
  readonly #raw: RawBroker[] = [];
  readonly #gates: Gate[] = [];
  readonly #log: string[] = [];

  constructor(options: ConformanceOptions, capabilities: TransportCapabilities) {
    this.capabilities = capabilities;
    this.#options = options;
    this.#namePrefixes = new Set([options.variant?.namePrefix ?? ""]);
    this.#waitMs = WAIT_MS * (options.patience ?? 1);
  }

  /** A name for an endpoint. */
  name(label: string): string {
    const name = `${label}-${this.#suffix}${this.#endpoints.length}`;
    this.#endpoints.push(name);
    return name;
  }

  /** A message class with a type of its own. */
  message(label: string): NoteClass {
    const messageType = `conformance.${label}-${this.#suffix}${this.#messageTypes.length}`;
    this.#messageTypes.push(messageType);
    return noteClass(messageType);
  }

  /** A bus with a transport of its own. */
  bus(options: Partial<BusOptions> = {}): Bus {
    if (options.namePrefix !== undefined) this.#namePrefixes.add(options.namePrefix);
    const bus = createBus({
      service: options.service ?? this.name("service"),
      transport: this.#options.createTransport(),
      namePrefix: this.#options.variant?.namePrefix ?? "",
      logger: this.#logger,
      ...options,
    });
    this.#buses.push(bus);
    return bus;
  }

  /** An endpoint with the variant's options; without retries unless the test asks for them. */
  endpoint(bus: Bus, name: string, options: EndpointOptions = {}): Endpoint {
    const order = this.#options.variant?.order;
    for (const delay of (options.retry || undefined)?.delays ?? []) this.#retryDelays.add(delay);
    return bus.endpoint(name, { retry: false, ...(order ? { order } : {}), ...options });
  }

  /** As `endpoint`, for several types: in order only where the transport orders messages of several types among each other. */
  mixedEndpoint(bus: Bus, name: string, options: EndpointOptions = {}): Endpoint {
    return this.endpoint(bus, name, this.capabilities.order === "endpoint" ? options : { ...options, order: "none" });
  }

  /** A started bus with one endpoint that handles one type. */
  async listen(
    name: string,
    type: NoteClass,
    consumer: ConsumerOf<Note>,
    options: EndpointOptions = {},
    busOptions: Partial<BusOptions> = {},
  ): Promise<Bus> {
    const bus = this.bus(busOptions);
    this.endpoint(bus, name, options).subscribe(type, consumer);
    await bus.start();
    return bus;
  }

  /** The broker without a bus. */
  async raw(): Promise<RawBroker> {
    const namePrefix = this.#options.variant?.namePrefix ?? "";
    const raw = await RawBroker.open(this.#options.createTransport(), namePrefix, this.#waitMs);
    this.#raw.push(raw);
    return raw;
  }

  collector<T>(): Collector<T> {
    return new Collector(this.#waitMs);
  }

  /** Opened at the end of the test when the test has not. */
  gate(): Gate {
    const gate = new Gate();
    this.#gates.push(gate);
    return gate;
  }

  /** For what gives no signal: looks until it is so. */
  async eventually(what: string | (() => string), condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + this.#waitMs;
    for (let pauseMs = 2; !(await condition()); pauseMs = Math.min(100, pauseMs * 1.5)) {
      if (performance.now() > deadline) {
        throw new Error(`not within ${this.#waitMs} ms: ${typeof what === "string" ? what : what()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  health(bus: Bus, endpoint: string): EndpointHealth {
    const health = bus.health().endpoints.find(({ name }) => name === endpoint);
    assert.ok(health, `health() of the bus does not show the endpoint ${endpoint}`);
    return health;
  }

  /** Waits until a count of the endpoint is at least that. */
  async counted(bus: Bus, endpoint: string, count: keyof EndpointHealth["counts"], atLeast: number): Promise<void> {
    await this.eventually(
      () => `${atLeast} ${count} at ${endpoint}, counted ${JSON.stringify(this.health(bus, endpoint).counts)}`,
      () => this.health(bus, endpoint).counts[count] >= atLeast,
    );
  }

  /** The dead letters of an endpoint, once there are that many; they are kept. */
  async letters(bus: Bus, endpoint: string, count: number): Promise<readonly DeadLetter[]> {
    await this.counted(bus, endpoint, "deadLettered", count);
    let letters: DeadLetter[] = [];
    await this.eventually(`${count} dead letters at ${endpoint}`, async () => {
      letters = [];
      await bus.deadLetters(endpoint).process((letter) => {
        letters.push(letter);
        return "keep";
      });
      return letters.length >= count;
    });
    assert.equal(letters.length, count, `dead letters of ${endpoint}`);
    return letters;
  }

  /** The one dead letter of an endpoint. */
  async letter(bus: Bus, endpoint: string): Promise<DeadLetter> {
    const [letter] = await this.letters(bus, endpoint, 1);
    assert.ok(letter);
    return letter;
  }

  /** What the buses logged, for the text of a failure. */
  get log(): string {
    return this.#log.slice(-30).join("\n");
  }

  async close(): Promise<void> {
    for (const gate of this.#gates) gate.open();
    await Promise.all(this.#buses.map((bus) => bus.stop({ deadline: "3s" })));
    for (const raw of this.#raw) await raw.close();
    for (const namePrefix of this.#namePrefixes) {
      await this.#options.cleanUp?.({
        namePrefix,
        endpoints: this.#endpoints,
        messageTypes: this.#messageTypes,
        retryDelays: [...this.#retryDelays],
      });
    }
  }

  get #logger(): Logger {
    const write =
      (level: string) =>
      (text: string, fields?: object): void => {
        this.#log.push(`${level}: ${text}${fields === undefined ? "" : ` ${Object.keys(fields).join(",")}`}`);
        if (this.#log.length > 200) this.#log.splice(0, 100);
      };
    return { debug: () => {}, info: write("info"), warn: write("warn"), error: write("error") };
  }
}
