import type { ServiceBusReceiver } from "@azure/service-bus";
import { refusalOf } from "./administration.js";
import { RECEIVER_OPTIONS } from "./client.js";
import { textOf } from "./errors.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";

/** One place where dead letters of an endpoint are. */
export interface DeadLetterSource {
  /** For people. */
  readonly name: string;
  open(): ServiceBusReceiver;
}

type SubQueue = "deadLetter" | "transferDeadLetter";

/**
 * Everywhere that the broker keeps what an endpoint gave up on, or what never reached it: the dead letters of its queue and of its suspects, and those of its
 * subscriptions (a filter that failed), and what could not be forwarded (transfer dead letters). The queue's own come first.
 */
export async function deadLetterSourcesOf(environment: ReceiverEnvironment, endpoint: string): Promise<readonly DeadLetterSource[]> {
  const { names, connection } = environment;
  const ofQueue = (queue: string, subQueueType: SubQueue): DeadLetterSource => ({
    name: `${queue}/${pathOf(subQueueType)}`,
    open: () => connection.client.createReceiver(queue, { ...RECEIVER_OPTIONS, subQueueType }),
  });
  const ofSubscription = (type: string, subQueueType: SubQueue): DeadLetterSource => {
    const [topic, subscription] = [names.topic(type), names.subscription(endpoint)];
    return {
      name: `${topic}/Subscriptions/${subscription}/${pathOf(subQueueType)}`,
      open: () => connection.client.createReceiver(topic, subscription, { ...RECEIVER_OPTIONS, subQueueType }),
    };
  };
  const queue = names.queue(endpoint);
  return [
    ofQueue(queue, "deadLetter"),
    ofQueue(names.suspectQueue(endpoint), "deadLetter"),
    ofQueue(queue, "transferDeadLetter"),
    ...(await subscribedTypes(environment, endpoint)).flatMap((type) => [
      ofSubscription(type, "deadLetter"),
      ofSubscription(type, "transferDeadLetter"),
    ]),
  ];
}

/** As this process was told, else as the namespace tells, which takes the right to manage it. */
async function subscribedTypes({ keeper, names, logger }: ReceiverEnvironment, endpoint: string): Promise<readonly string[]> {
  const known = keeper.subscribedTypes(endpoint);
  const { client, tier } = keeper.administration;
  if (known.length > 0 || tier === "Basic") return known;
  const found: string[] = [];
  try {
    for await (const { name } of client.listTopics()) {
      const type = names.typeOf(name);
      if (type !== undefined && (await isThere(client.getSubscription(name, names.subscription(endpoint))))) found.push(type);
    }
  } catch (error) {
    const why = refusalOf(error) === "forbidden" ? "the right to manage is missing" : textOf(error);
    logger.info(`Of "${endpoint}" only the dead letters of its queues are read: which subscriptions it has cannot be seen (${why}).`);
  }
  return found;
}

async function isThere(subscription: Promise<unknown>): Promise<boolean> {
  try {
    await subscription;
    return true;
  } catch (error) {
    if (refusalOf(error) !== "missing") throw error;
    return false;
  }
}

function pathOf(subQueue: SubQueue): string {
  return subQueue === "deadLetter" ? "$DeadLetterQueue" : "$Transfer/$DeadLetterQueue";
}
