import { DriverError, type DriverErrorKind } from "./driver.js";
import { textOf } from "./errors.js";

/** What the protocol's own names mean to the adapter. What is not here may pass by itself. */
const KINDS: Readonly<Record<string, DriverErrorKind>> = {
  MESSAGE_TOO_LARGE: "too-large",
  RECORD_LIST_TOO_LARGE: "too-large",
  OFFSET_METADATA_TOO_LARGE: "too-large",
  UNKNOWN_TOPIC_OR_PARTITION: "no-topic",
  TOPIC_AUTHORIZATION_FAILED: "forbidden",
  GROUP_AUTHORIZATION_FAILED: "forbidden",
  CLUSTER_AUTHORIZATION_FAILED: "forbidden",
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "forbidden",
  SASL_AUTHENTICATION_FAILED: "authentication",
  UNSUPPORTED_SASL_MECHANISM: "authentication",
  INVALID_TOPIC_EXCEPTION: "invalid",
  INVALID_PARTITIONS: "invalid",
  INVALID_REPLICATION_FACTOR: "invalid",
  INVALID_REPLICA_ASSIGNMENT: "invalid",
  INVALID_CONFIG: "invalid",
  INVALID_REQUEST: "invalid",
  INVALID_RECORD: "invalid",
  INVALID_TIMESTAMP: "invalid",
  INVALID_REQUIRED_ACKS: "invalid",
  INVALID_SESSION_TIMEOUT: "invalid",
  INVALID_GROUP_ID: "invalid",
  INCONSISTENT_GROUP_PROTOCOL: "invalid",
  POLICY_VIOLATION: "invalid",
  UNSUPPORTED_VERSION: "invalid",
  UNSUPPORTED_COMPRESSION_TYPE: "invalid",
  ILLEGAL_GENERATION: "fenced",
  UNKNOWN_MEMBER_ID: "fenced",
  REBALANCE_IN_PROGRESS: "fenced",
  FENCED_INSTANCE_ID: "fenced",
  REQUEST_TIMED_OUT: "timeout",
};

/** And the names of kafkajs's own errors. */
const CLIENT_KINDS: Readonly<Record<string, DriverErrorKind>> = {
  KafkaJSRequestTimeoutError: "timeout",
  KafkaJSTimeout: "timeout",
  KafkaJSLockTimeout: "timeout",
  KafkaJSConnectionError: "unavailable",
  KafkaJSConnectionClosedError: "unavailable",
  KafkaJSBrokerNotFound: "unavailable",
  KafkaJSNoBrokerAvailableError: "unavailable",
  KafkaJSMetadataNotLoaded: "unavailable",
  KafkaJSTopicMetadataNotLoaded: "unavailable",
  KafkaJSGroupCoordinatorNotFound: "unavailable",
  KafkaJSSASLAuthenticationError: "authentication",
  KafkaJSNotImplemented: "invalid",
  KafkaJSServerDoesNotSupportApiKey: "invalid",
};

/** TLS that cannot be agreed on: certificates that are not trusted, a port that does not speak it. */
const TLS_CODE = /^(?:ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

/** Whatever kafkajs rejects with, for those who do not know kafkajs. */
export function driverErrorOf(error: unknown): DriverError {
  if (error instanceof DriverError) return error;
  let kind: DriverErrorKind | undefined;
  let type: string | undefined;
  let text: string | undefined;
  // kafkajs wraps what it has tried several times: what was meant is the innermost error.
  for (const each of chainOf(error)) {
    const { name, type: found, code } = each as { readonly name?: unknown; readonly type?: unknown; readonly code?: unknown };
    if (typeof found === "string") {
      type = found;
      kind = KINDS[found] ?? "unavailable";
      text = textOf(each);
    } else if (typeof code === "string" && TLS_CODE.test(code)) {
      kind = "authentication";
      text = textOf(each);
    } else if (typeof name === "string" && Object.hasOwn(CLIENT_KINDS, name)) {
      kind = CLIENT_KINDS[name];
      text = textOf(each);
    }
  }
  return new DriverError(kind ?? "unknown", text ?? textOf(error), { cause: error, type });
}

function chainOf(error: unknown): readonly object[] {
  const chain: object[] = [];
  let next: unknown = error;
  while (typeof next === "object" && next !== null && !chain.includes(next)) {
    chain.push(next);
    const { cause, errors, partitions } = next as { readonly cause?: unknown; readonly errors?: unknown; readonly partitions?: unknown };
    if (Array.isArray(errors)) next = errors[0];
    else if (Array.isArray(partitions)) next = (partitions[0] as { readonly error?: unknown } | undefined)?.error;
    else next = cause;
  }
  return chain;
}
