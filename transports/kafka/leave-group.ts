import type { Broker, Cluster } from "kafkajs";
import { settledBy } from "../../src/util/time-limit.js";
import type { KafkajsHome } from "./kafkajs-home.js";

/** How long a group may take to let a member go; one that is not let go of stays for its session. */
const LEAVE_MS = 3_000;

/** What kafkajs's types leave out. */
interface Coordinator extends Broker {
  leaveGroup(request: { readonly groupId: string; readonly memberId: string }): Promise<unknown>;
}

/**
 * Takes a member out of its group over a connection of its own. A broker answers the requests of one connection in turn, so whoever waits there for the group to
 * share out its partitions cannot leave it. Never rejects.
 */
export async function leaveGroup(home: KafkajsHome, groupId: string, memberId: string): Promise<void> {
  const leave = async (): Promise<void> => {
    const cluster = clusterOf(home, groupId);
    await cluster.connect();
    const coordinator = (await cluster.findGroupCoordinator({ groupId })) as Coordinator;
    await coordinator.leaveGroup({ groupId, memberId });
  };
  await settledBy(performance.now() + LEAVE_MS, leave());
  home.cut();
}

// kafkajs hands its connections to whoever shares partitions out, and to nobody else.
function clusterOf({ kafka }: KafkajsHome, groupId: string): Cluster {
  let found: Cluster | undefined;
  const assigner = {
    name: "none",
    version: 0,
    assign: async () => [],
    protocol: () => ({ name: "none", metadata: Buffer.alloc(0) }),
  };
  kafka.consumer({
    groupId,
    partitionAssigners: [
      ({ cluster }) => {
        found = cluster;
        return assigner;
      },
    ],
  });
  if (!found) throw new TypeError("kafkajs handed over no connections");
  return found;
}
