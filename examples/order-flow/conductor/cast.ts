import type { Health } from "trolleybus";
import type { HostedService, StartHosted } from "../hosting/host.js";
import type { OnReport } from "../hosting/report.js";
import { call } from "../http/call.js";
import type { ServiceName } from "../services/index.js";
import type { DeadLetterSummary } from "../services/operations.js";
import type { Settings } from "../settings.js";

export interface Counts {
  handled: number;
  "retried later": number;
  "dead-lettered": number;
  duplicates: number;
}

const ONCE = { timeoutMs: 10_000, tries: 1, pauseMs: 0 };

/** The services that run, and the door through which an operator talks to them. */
export class Cast {
  readonly #running = new Map<ServiceName, HostedService>();
  /** What each service counted, over its versions. */
  readonly counts = new Map<ServiceName, Counts>();

  constructor(
    private readonly startHosted: StartHosted,
    private readonly onReport: OnReport,
  ) {}

  get services(): readonly HostedService[] {
    return [...this.#running.values()];
  }

  async start(name: ServiceName, settings: Settings): Promise<HostedService> {
    const service = await this.startHosted(name, settings, this.onReport);
    this.#running.set(name, service);
    return service;
  }

  async stop(name: ServiceName): Promise<void> {
    const service = this.#running.get(name);
    if (!service) return;
    if (name !== "gateway") this.#add(name, await this.endpointCounts(name));
    this.#running.delete(name);
    await service.stop();
  }

  /** In the order of the flow, so that nobody is called who is gone. Resolves with what went wrong. */
  async stopAll(): Promise<readonly string[]> {
    const troubles: string[] = [];
    for (const name of [...this.#running.keys()].reverse()) {
      await this.stop(name).catch((error: unknown) => troubles.push(String(error)));
    }
    return troubles;
  }

  async endpointCounts(name: ServiceName): Promise<Counts> {
    const { body } = await call("GET", `${this.url(name)}/health`, undefined, ONCE);
    const counts = (body as Health).endpoints[0]?.counts;
    if (!counts) throw new Error(`${name} has no endpoint in its health: ${JSON.stringify(body)}`);
    return {
      handled: counts.handled,
      "retried later": counts.retried,
      "dead-lettered": counts.deadLettered,
      duplicates: counts.duplicates,
    };
  }

  async deadLetter(name: ServiceName, messageId: string): Promise<DeadLetterSummary | undefined> {
    const { body } = await call("GET", `${this.url(name)}/dead-letters`, undefined, ONCE);
    return (body as readonly DeadLetterSummary[]).find((letter) => letter.messageId === messageId);
  }

  async replay(name: ServiceName, messageId: string): Promise<number> {
    const { body } = await call("POST", `${this.url(name)}/dead-letters/${messageId}/replay`, undefined, ONCE);
    return (body as { replayed: number }).replayed;
  }

  url(name: ServiceName): string {
    const service = this.#running.get(name);
    if (!service) throw new Error(`${name} does not run`);
    return service.url;
  }

  #add(name: ServiceName, counts: Counts): void {
    const sum = this.counts.get(name) ?? { handled: 0, "retried later": 0, "dead-lettered": 0, duplicates: 0 };
    for (const key of Object.keys(sum) as (keyof Counts)[]) sum[key] += counts[key];
    this.counts.set(name, sum);
  }
}
