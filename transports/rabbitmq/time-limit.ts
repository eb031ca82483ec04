import { within } from "../../src/util/time-limit.js";
import { unavailable } from "./errors.js";

export { settledBy } from "../../src/util/time-limit.js";

/** A request that RabbitMQ has not answered by then is given up. */
const REQUEST_TIMEOUT_MS = 30_000;

/** The answer to a request. @throws RabbitMqError "unavailable" when there is none in time, else what `request` throws */
export function answered<T>(request: Promise<T>): Promise<T> {
  return within(REQUEST_TIMEOUT_MS, request, () => unavailable("RabbitMQ does not answer"));
}
