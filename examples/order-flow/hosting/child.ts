/** The program of a process that hosts one service. */
import { services } from "../services/index.js";
import type { Service } from "../services/service.js";
import type { FromChild, ToChild } from "./child-protocol.js";
import { reporterOf } from "./report.js";

const say = (message: FromChild): void => void process.send?.(message);

let service: Promise<Service> | undefined;

async function stop(): Promise<void> {
  await (await service)?.stop();
  process.exit(0);
}

process.on("message", (message: ToChild) => {
  if (message.type === "stop") return void stop();
  service = services[message.name](
    message.settings,
    reporterOf(message.name, (report) => say({ type: "report", report })),
  );
  service.then(
    ({ url }) => say({ type: "started", url }),
    (error: unknown) => say({ type: "failed", text: error instanceof Error ? error.message : String(error) }),
  );
});

// Ctrl-C reaches the whole group of processes: the conductor decides when which service stops.
process.on("SIGINT", () => {});
process.once("SIGTERM", () => void stop());
process.once("disconnect", () => void stop());
