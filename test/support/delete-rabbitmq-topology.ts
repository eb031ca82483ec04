import { connect } from "amqplib";
import { formatDuration, parseDuration } from "../../src/util/duration.js";
import type { LeftBehind } from "../../testing/conformance/index.js";

/**
 * Deletes the queues and exchanges of a finished test, so that hundreds of tests do not leave thousands of quorum queues to one
 * broker. RabbitMQ takes deleting what is not there for a success.
 */
export function deleteRabbitmqTopology(url: string): (left: LeftBehind) => Promise<void> {
  return async ({ namePrefix, endpoints, messageTypes, retryDelays }) => {
    const connection = await connect(url);
    const channel = await connection.createChannel();
    const suffixes = [
      "",
      ".dead-letter",
      ".suspect",
      ".suspect.runs",
      ...retryDelays.map((delay) => `.retry.${formatDuration(parseDuration(delay) ?? 0)}`),
    ];
    await Promise.all([
      ...endpoints.flatMap((endpoint) => suffixes.map((suffix) => channel.deleteQueue(namePrefix + endpoint + suffix))),
      ...messageTypes.map((type) => channel.deleteExchange(namePrefix + type)),
    ]);
    await connection.close();
  };
}
