import { BrokerError } from "../broker/broker-error.js";
import type { ServiceBusNamespace } from "../broker/service-bus-namespace.js";
import { ConfigError } from "./config-problems.js";
import type { EmulatorConfig } from "./emulator-config.js";

/**
 * Makes the entities of a configuration. Those that are there already (of a data folder) stay as they are.
 * @throws ConfigError naming everything that the broker refuses.
 */
export function applyConfig(namespace: ServiceBusNamespace, config: EmulatorConfig, where = "The configuration"): void {
  const problems: string[] = [];
  const attempt = (place: string, make: () => void): void => {
    try {
      make();
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      problems.push(`${place}: ${error.message}`);
    }
  };
  const fresh = config.queues.filter(({ name }) => !namespace.findQueue(name));
  // Targets may be named before they are made: forwarding is set when all are there.
  for (const { name, description } of fresh) {
    attempt(`Queues["${name}"]`, () => {
      namespace.createQueue(name, { ...description, forwardTo: undefined, forwardDeadLetteredMessagesTo: undefined });
    });
  }
  for (const { name, description } of config.topics) {
    if (!namespace.findTopic(name)) attempt(`Topics["${name}"]`, () => void namespace.createTopic(name, description));
  }
  for (const { name, description } of fresh) {
    const queue = namespace.findQueue(name);
    if (!queue || (!description.forwardTo && !description.forwardDeadLetteredMessagesTo)) continue;
    attempt(`Queues["${name}"]`, () => namespace.updateQueue(queue, { ...queue.description, ...description }));
  }
  for (const topic of config.topics) {
    for (const { name, description, rules } of topic.subscriptions) {
      if (!namespace.findTopic(topic.name) || namespace.findSubscription(topic.name, name)) continue;
      attempt(`Topics["${topic.name}"].Subscriptions["${name}"]`, () => {
        namespace.createSubscription(topic.name, name, description, rules);
      });
    }
  }
  if (problems.length > 0) throw new ConfigError(where, problems);
}
