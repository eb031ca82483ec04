import { services } from "../services/index.js";
import type { StartHosted } from "./host.js";
import { reporterOf } from "./report.js";

/** Starts a service in this process: with the memory transport there is nothing else to install or to run. */
export const startInProcess: StartHosted = async (name, settings, onReport) => {
  const service = await services[name](settings, reporterOf(name, onReport));
  return { name, processId: process.pid, ...service };
};
