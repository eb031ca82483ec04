import type { DriverError } from "./driver.js";
import { KafkaError, textOf, unavailable } from "./errors.js";
import type { Publication } from "./publication.js";

/**
 * Whether the broker has certainly stored nothing of a refused request for one partition: for the sake of a record ("record"), of the topic ("topic") or of
 * how things stand now ("now"). `undefined`: nobody knows.
 */
export function refusalOf({ kind, type }: DriverError): "record" | "topic" | "now" | undefined {
  if (kind === "too-large" || kind === "invalid") return "record";
  // Not "no-topic": kafkajs says so too when it looks for the leaders again after a broken connection, of whatever topic.
  if (kind === "forbidden") return "topic";
  // Checked before anything is written, unlike NOT_ENOUGH_REPLICAS_AFTER_APPEND, and unlike NOT_LEADER, which also answers what was written just before.
  return type === "NOT_ENOUGH_REPLICAS" ? "now" : undefined;
}

export function tooLarge(publication: Publication, limit: number | undefined): KafkaError {
  const { bytes, record } = publication;
  const most = limit === undefined ? "does not take so many" : `takes at most ${limit}`;
  return new KafkaError(
    "too-large",
    `The message has ${bytes} bytes with its headers and topic "${record.topic}" ${most}. Send less, keep large content elsewhere and send where it is, or raise max.message.bytes of the topic.`,
    { retryable: false },
  );
}

export function invalid(topic: string, error: DriverError): KafkaError {
  return new KafkaError("refused", `Kafka refuses the message for topic "${topic}": ${textOf(error)}.`, { retryable: false, cause: error });
}

/** @param isOurs it is being made anew */
export function missing(topic: string, mandatory: boolean, isOurs: boolean): KafkaError {
  if (isOurs) return unavailable(`Topic "${topic}" is not there in Kafka. It is made anew.`);
  if (mandatory) {
    return new KafkaError(
      "unroutable",
      `There is no topic "${topic}" in Kafka, so the message was not stored. Is the endpoint's name right, and has it been started once?`,
      { retryable: false },
    );
  }
  return new KafkaError(
    "topology",
    `There is no topic "${topic}" in Kafka, so the message was not stored. Make it, or use topology: "create".`,
    {
      retryable: true,
    },
  );
}

/** @param fate "was not stored", "may or may not be stored" */
export function notConfirmed(topic: string, error: DriverError, fate: string): KafkaError {
  const text = `Kafka did not confirm the message for topic "${topic}", which ${fate}: ${textOf(error)}.`;
  switch (error.kind) {
    case "forbidden":
      return new KafkaError("refused", `${text} Grant WRITE on the topic (ACL).`, { retryable: false, cause: error });
    case "timeout":
      return new KafkaError("timeout", text, { retryable: true, cause: error });
    default:
      return unavailable(text, error);
  }
}
