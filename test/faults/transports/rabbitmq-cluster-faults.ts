import type { FaultKind } from "../kinds/fault-kind.js";
import { ENDPOINTS } from "../messages.js";
import type { RabbitmqUnderFault } from "./rabbitmq.js";
import type { RabbitmqCluster } from "./rabbitmq-control.js";
import { broker } from "./rabbitmq-faults.js";

/** The ways to break a cluster of three of which two always live. */
export function clusterFaults(server: RabbitmqUnderFault, cluster: RabbitmqCluster): readonly FaultKind[] {
  return [
    broker("leader of a queue killed", 3, async (scene) => {
      const queue = scene.random.pick(ENDPOINTS);
      const leader = await cluster.leaderOf(queue);
      await leader.kill();
      await scene.wait(scene.random.integer(1_000, 6_000));
      await leader.start();
      await cluster.whole();
      return `${leader.name}, which led ${queue}`;
    }),
    broker("a node killed", 2, async (scene) => {
      const node = scene.random.pick(server.nodes);
      await node.kill();
      await scene.wait(scene.random.integer(1_000, 6_000));
      await node.start();
      await cluster.whole();
      return node.name;
    }),
    broker("minority cut off", 2, async (scene) => {
      const node = scene.random.pick(server.nodes);
      await cluster.cutOff(node);
      await scene.wait(scene.random.integer(5_000, 15_000));
      await cluster.rejoin(node);
      return node.name;
    }),
    broker("a node frozen", 1, async (scene) => {
      const node = scene.random.pick(server.nodes);
      const ms = scene.random.integer(3_000, 15_000);
      node.freeze();
      await scene.wait(ms);
      node.thaw();
      await cluster.whole();
      return `${node.name} for ${ms} ms`;
    }),
    broker("rolling restart", 1, async (scene) => {
      for (const node of server.nodes) {
        await node.stop();
        await scene.wait(scene.random.integer(500, 2_000));
        await node.start();
        await cluster.whole();
      }
    }),
    broker("closes all connections of a node", 1, async (scene) => {
      const node = scene.random.pick(server.nodes);
      await node.ctl("close_all_connections", "a fault on purpose");
      return node.name;
    }),
  ];
}
