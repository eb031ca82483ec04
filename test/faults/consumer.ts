import { setTimeout as sleep } from "node:timers/promises";
import { NonRetryableError } from "trolleybus";
import type { Delivery } from "./clients/client.js";
import { loadClient } from "./clients/index.js";
import { AUDIT, checksum, Echo, expectation } from "./messages.js";
import { runService, type Service } from "./service.js";

class Work {
  handled = 0;
  running = 0;
  readonly #service: Service;

  constructor(service: Service) {
    this.#service = service;
  }

  async handle(delivery: Delivery): Promise<void> {
    const { endpoint, attempt, message } = delivery;
    const run = { id: message.id, endpoint, attempt };
    const { ledger } = this.#service;
    ledger.write({
      event: "started",
      ...run,
      checksum: checksum(message),
      ...(delivery.key === undefined ? {} : { key: delivery.key }),
    });
    this.running++;
    try {
      await this.#follow(delivery);
      ledger.write({ event: "handled", ...run });
      this.handled++;
    } catch (error) {
      ledger.write({ event: "failed", ...run });
      throw error;
    } finally {
      this.running--;
    }
  }

  async #follow(delivery: Delivery): Promise<void> {
    const { plan, id } = delivery.message;
    switch (plan.kind) {
      case "work":
        return void (await sleep(plan.ms));
      case "echo":
        await sleep(plan.ms);
        return await this.#echo(delivery, plan.echoId);
      case "fail":
        if (delivery.attempt <= plan.times) throw new Error(`planned to fail at attempt ${delivery.attempt} of ${plan.times}`);
        return;
      case "poison":
        throw plan.retryable ? new Error("planned to fail always") : new NonRetryableError("planned to fail at once");
      case "kill":
        await sleep(plan.afterMs);
        await this.#service.announceDeath(`killed by ${id}`);
        return die(plan.how);
    }
  }

  async #echo(delivery: Delivery, echoId: string): Promise<void> {
    const echo = new Echo(echoId, null, { kind: "work", ms: 1 }, delivery.message.padding);
    this.#service.ledger.write({
      event: "attempt",
      id: echoId,
      checksum: checksum(echo),
      ...expectation(echo.plan),
      endpoints: [AUDIT],
      parent: delivery.message.id,
    });
    await delivery.publish(echo);
  }
}

function die(how: "exit" | "out-of-memory"): never {
  if (how === "exit") process.kill(process.pid, "SIGKILL");
  const hoard: unknown[] = [];
  for (;;) hoard.push(new Array(2_000_000).fill(hoard.length + 0.5));
}

/** A service that handles messages as their plans say, and writes down every run. */
runService(async (service) => {
  const work = new Work(service);
  const module = await loadClient(service.config.client);
  const client = await module.openConsumer(service.config, (delivery) => work.handle(delivery));
  return {
    status: () => ({ status: "running", acknowledged: 0, outstanding: 0, handled: work.handled, running: work.running }),
    stop: () => client.stop(),
  };
});
