/** A broker cannot be brought up on this machine; the text says what is missing and how to get it. */
export class BrokerUnavailable extends Error {
  /** @override */
  name = "BrokerUnavailable";
}
