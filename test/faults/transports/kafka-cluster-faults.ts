import type { FaultKind, Scene } from "../kinds/fault-kind.js";
import { ENDPOINTS, Step, Task, WORK } from "../messages.js";
import type { KafkaUnderFault } from "./kafka.js";
import { type KafkaCluster, type KafkaNode, SESSION_TIMEOUT_MS } from "./kafka-control.js";
import { broker, freeze, groupFaults, topicFaults } from "./kafka-faults.js";

/** The ways to break a cluster of three of which two always live. */
export function clusterFaults(server: KafkaUnderFault, cluster: KafkaCluster): readonly FaultKind[] {
  const nodeOf = (id: number | undefined): KafkaNode => {
    const found = server.nodes.find((node) => node.id === id);
    if (!found) throw new Error(`no node ${id} leads`);
    return found;
  };
  const kill = async (node: KafkaNode, scene: Scene): Promise<void> => {
    await node.kill();
    await scene.wait(scene.random.integer(1_000, 8_000));
    await node.start();
    await cluster.whole();
    // With another node gone before this one has caught up the remaining one alone must not take messages, and nobody would publish.
    await server.inSync();
  };
  return [
    broker("leader of a partition killed", 3, async (scene) => {
      const topic = scene.random.pick([Task.messageType, Step.messageType, WORK]);
      const leader = nodeOf(await server.admin.leaderOf(topic, 0));
      await kill(leader, scene);
      return `${leader.name}, which led ${topic}`;
    }),
    broker("coordinator of a group killed", 3, async (scene) => {
      const endpoint = scene.random.pick(ENDPOINTS);
      const coordinator = nodeOf(await server.admin.coordinatorOf(endpoint));
      await kill(coordinator, scene);
      return `${coordinator.name}, which coordinated ${endpoint}`;
    }),
    broker("a node killed", 1, async (scene) => {
      const node = scene.random.pick(server.nodes);
      await kill(node, scene);
      return node.name;
    }),
    broker("a node frozen", 2, async (scene) => {
      const detail = await freeze(scene.random.pick(server.nodes), scene, 2_000, 3 * SESSION_TIMEOUT_MS);
      await cluster.whole();
      await server.inSync();
      return detail;
    }),
    broker("rolling restart", 1, async (scene) => {
      for (const node of server.nodes) {
        await node.stop();
        await scene.wait(scene.random.integer(500, 2_000));
        await node.start();
        await cluster.whole();
        await server.inSync();
      }
    }),
    ...topicFaults(server),
    ...groupFaults(server),
  ];
}
