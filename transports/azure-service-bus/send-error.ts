import { AzureServiceBusError, isTimeout, serviceAnswer, unavailable } from "./errors.js";

/** What a failed send means: whether the service can have the message, and what to tell. */
export interface SendFailure {
  readonly outcome: "refused" | "unknown";
  readonly error: AzureServiceBusError;
}

/**
 * Judges the error of a send. Only what the service answered to the message itself, or what happened before it was handed over, is a certain no.
 * @param isHandedOver false: it happened while the link was opened
 */
export function sendFailure(cause: unknown, entity: string, isEvent: boolean, isHandedOver: boolean): SendFailure {
  const { code, text } = serviceAnswer(cause);
  const refused = (errorCode: AzureServiceBusError["code"], what: string, retryable: boolean): SendFailure => ({
    outcome: "refused",
    error: new AzureServiceBusError(errorCode, what, { retryable, cause }),
  });
  switch (code) {
    case "MessagingEntityNotFound":
      return isEvent
        ? refused(
            "topology",
            `The topic "${entity}" is not there in Azure Service Bus: ${text}. Set topology: "create", or make it as docs/azure-service-bus.md says.`,
            true,
          )
        : refused(
            "unroutable",
            `There is no queue "${entity}" in Azure Service Bus, so no endpoint of that name has ever been started, or it was deleted: ${text}`,
            false,
          );
    case "MessageSizeExceeded":
      return refused(
        "too-large",
        `Azure Service Bus does not take the message for "${entity}", it is too large for the tier (MessageSizeExceeded): ${text}`,
        false,
      );
    case "ServiceBusy":
      return refused("unavailable", `Azure Service Bus is throttling (ServerBusy): ${text}`, true);
    case "QuotaExceeded":
      return refused("refused", `"${entity}" is full (QuotaExceeded): ${text}`, true);
    case "MessagingEntityDisabled":
      return refused("refused", `"${entity}" is disabled for sending in Azure Service Bus: ${text}`, true);
    case "UnauthorizedAccess":
      return refused("refused", `Azure Service Bus does not let us send to "${entity}": ${text}. Grant the right Send.`, true);
    default:
      if (!isHandedOver || /SenderBusy|SenderNotReady/.test(text))
        return { outcome: "refused", error: unavailable(`Azure Service Bus cannot be reached: ${text}`, cause) };
      if (/not-allowed|not-implemented|InvalidOperation|ArgumentError|precondition-failed/i.test(text))
        return refused("refused", `Azure Service Bus refuses the message for "${entity}": ${text}`, false);
      return {
        outcome: "unknown",
        error: new AzureServiceBusError(
          isTimeout(cause) ? "timeout" : "unavailable",
          `Azure Service Bus has not confirmed the message; it may have it: ${text}`,
          {
            retryable: true,
            cause,
          },
        ),
      };
  }
}
