import { setTimeout as sleep } from "node:timers/promises";
import { type BusOptions, createBus, type DeadLetter } from "trolleybus";
import type { LedgerEntry } from "./ledger-event.js";
import { checksum, ENDPOINTS, type FaultMessage } from "./messages.js";
import type { Supervisor } from "./supervisor.js";
import type { BrokerUnderTest } from "./transports/transport.js";

/** Above the time after which RabbitMQ repeats the hop from a retry queue whose confirm was lost with a node: 3 minutes, looked at every 3. */
const DRAIN_LIMIT_MS = 480_000;

/** Resolves when nothing waits, nothing is handled and nothing is outstanding; false when that is not so in time. @throws when the run is interrupted */
export async function untilQuiet(broker: BrokerUnderTest, supervisor: Supervisor, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + DRAIN_LIMIT_MS;
  let quietSince: number | undefined;
  while (performance.now() < deadline) {
    const idle = supervisor.services.every(({ status }) => status.outstanding === 0 && status.running === 0);
    const quiet = idle && (await isEmpty(broker));
    quietSince = quiet ? (quietSince ?? performance.now()) : undefined;
    if (quietSince !== undefined && performance.now() - quietSince > broker.depthsAgeMs) return true;
    await sleep(250, undefined, { signal });
  }
  return false;
}

/** A broker that does not answer has not said that it is empty. */
async function isEmpty(broker: BrokerUnderTest): Promise<boolean> {
  const depths = await broker.depths().catch(() => undefined);
  return depths?.every(({ deadLetters, messages }) => deadLetters || messages === 0) ?? false;
}

/** Reads every dead letter into the ledger, and deletes it. */
export async function drainDeadLetters(transport: unknown, note: (entry: LedgerEntry) => void): Promise<void> {
  const bus = createBus({ service: "faults-drain", transport: transport as BusOptions["transport"] });
  try {
    for (const endpoint of ENDPOINTS) {
      for (;;) {
        const { dropped } = await bus.deadLetters(endpoint).process((letter) => {
          note(entryOf(letter, endpoint));
          return "drop";
        });
        if (dropped === 0) break;
      }
    }
  } finally {
    await bus.stop();
  }
}

/** The body is read as any other program would read it: it is a CloudEvent in JSON. */
function entryOf(letter: DeadLetter, endpoint: string): LedgerEntry {
  const { data } = JSON.parse(Buffer.from(letter.body).toString("utf8")) as { readonly data: FaultMessage };
  return { event: "dead-lettered", id: data.id, endpoint, reason: letter.failure.reason, checksum: checksum(data) };
}

/** Writes down what is left, for the checker. The figures must be fresh. */
export async function noteDepths(broker: BrokerUnderTest, note: (entry: LedgerEntry) => void): Promise<void> {
  await sleep(broker.depthsAgeMs);
  for (const { queue, messages } of await broker.depths()) note({ event: "depth", queue, messages });
}
