/**
 * Plays the order flow. Without BUS_URL: everything in this process, on the memory transport. With it: each service is a process
 * of its own, and the broker connects them. The exit code is 0 when all that was expected was seen.
 */
import { conduct } from "./conductor/conduct.js";
import { startInChildProcess } from "./hosting/child-process.js";
import { startInProcess } from "./hosting/in-process.js";
import { paintFor } from "./print/paint.js";
import { busSettings } from "./settings.js";

// Whoever read this has gone (`npm start | head`).
process.stdout.once("error", () => process.exit(1));

process.exitCode = await conduct({
  bus: busSettings,
  startHosted: busSettings.transport.startsWith("memory:") ? startInProcess : startInChildProcess,
  write: (text) => void process.stdout.write(text),
  paint: paintFor(process.stdout, process.env),
});
