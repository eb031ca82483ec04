import { lookup } from "node:dns/promises";
import { DriverError } from "./driver.js";
import { KafkaError, textOf, unavailable } from "./errors.js";

/**
 * Why no connection came about, for people, naming the brokers: "configuration" when that cannot pass by itself (credentials, certificates, names that
 * do not exist), else "unavailable".
 */
export async function connectError(error: unknown, brokers: readonly string[]): Promise<KafkaError> {
  const where = `Kafka at ${brokers.join(", ")}`;
  const text = textOf(error);
  if (error instanceof DriverError && error.kind === "authentication") {
    const isSasl = error.type !== undefined || /sasl/i.test(text);
    const advice = isSasl
      ? "Check sasl.mechanism, the user and the password (or token), and that this listener of the brokers is one for SASL."
      : "Check that this listener speaks TLS, and tls.ca, tls.serverName and the client's certificate.";
    return new KafkaError("configuration", `${where} refuses the connection: ${text}. ${advice}`, { retryable: false, cause: error });
  }
  if (/ENOTFOUND/.test(text) && (await nobodyKnows(brokers))) {
    return new KafkaError("configuration", `${where} cannot be reached: no such host name. Check brokers.`, {
      retryable: false,
      cause: error,
    });
  }
  const hint = /closed connection/i.test(text) ? " (a listener for TLS or SASL closes what comes without: check tls and sasl)" : "";
  return unavailable(`${where} cannot be reached: ${text}${hint}.`, error);
}

async function nobodyKnows(brokers: readonly string[]): Promise<boolean> {
  const known = await Promise.all(
    brokers.map((broker) =>
      lookup(broker.slice(0, broker.lastIndexOf(":"))).then(
        () => true,
        (error: unknown) => (error as { readonly code?: unknown }).code !== "ENOTFOUND",
      ),
    ),
  );
  return !known.includes(true);
}
