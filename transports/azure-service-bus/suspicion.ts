import type { ServiceBusReceivedMessage } from "@azure/service-bus";
import { SurvivedDeliveries } from "../../src/util/survived-deliveries.js";
import { failedDeliveriesOf, sequenceOf } from "./mapping.js";

export { CRASHED_AFTER, SUSPECT_AFTER } from "../../src/util/survived-deliveries.js";

/** By the delivery count, which rises for everything whose lock ended. */
export class DeliveryCounts extends SurvivedDeliveries<ServiceBusReceivedMessage> {
  constructor() {
    super(sequenceOf, failedDeliveriesOf);
  }
}
