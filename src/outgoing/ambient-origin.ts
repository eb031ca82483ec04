import { AsyncLocalStorage } from "node:async_hooks";
import type { Origin } from "./origin.js";

/**
 * The run that is under way where one looks. One storage for all buses of the process: on Node before 24 every promise pays for every
 * storage that was ever entered.
 */
export const ambientOrigin: AsyncLocalStorage<Origin> = new AsyncLocalStorage();
