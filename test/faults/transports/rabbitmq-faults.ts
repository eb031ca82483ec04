import { type FaultKind, hitAll, type Injected, type Scene } from "../kinds/fault-kind.js";
import { ENDPOINTS } from "../messages.js";
import { clearAlarms, PASSWORD, type RabbitmqUnderFault, USER } from "./rabbitmq.js";
import type { RabbitmqNode } from "./rabbitmq-control.js";

/** What was deleted must have been made again within this time, by whoever needs it. */
const REPAIR_LIMIT_MS = 60_000;
/**
 * RabbitMQ writes down which quorum queues it has some time after it has said that one is declared. One that is killed before that has no messages
 * and no leader in that queue afterwards, for ever ("configured member was not found on this node", seen on 4.0.5 after 0.9 s).
 */
const REGISTRATION_MS = 5_000;
const RETRY_COMES_WITHIN_MS = 30_000;

/**
 * Methods that no client of ours sends, run on a channel by the broker itself: so the broker answers, as it would the client, with the error
 * that closes the channel. (`rabbit_channel:do` is how its own reader hands over what a client sent.)
 */
const PASSIVE_DECLARE_OF_NOTHING = "{'queue.declare', 0, <<\"there-is-no-such-queue\">>, true, false, false, false, false, []}";
const ACK_OF_NOTHING = "{'basic.ack', 999999999, false}";

/** The ways to break one RabbitMQ server. */
export function rabbitmqFaults(server: RabbitmqUnderFault): readonly FaultKind[] {
  const node = (): RabbitmqNode => server.anyNode();
  return [
    broker("killed and started", 4, async (scene) => {
      const target = node();
      await target.kill();
      await scene.wait(scene.random.integer(0, 4_000));
      await target.start();
    }),
    broker("stopped and started politely", 2, async (scene) => {
      await node().ctl("stop_app");
      await scene.wait(scene.random.integer(0, 3_000));
      await node().ctl("start_app");
      await node().ready();
    }),
    broker("closes all connections", 3, async () => {
      await node().ctl("close_all_connections", "a fault on purpose");
    }),
    broker("frozen for longer than the heartbeat", 1, async (scene) => {
      const ms = scene.random.integer(10_000, 20_000);
      node().freeze();
      await scene.wait(ms);
      node().thaw();
      return `${ms} ms`;
    }),
    broker("frozen for less than the heartbeat", 1, async (scene) => {
      node().freeze();
      await scene.wait(scene.random.integer(500, 2_500));
      node().thaw();
    }),
    ...alarms(server),
    ...deletions(server),
    broker("closes channels with 404", 2, (scene) => closeChannels(node(), PASSIVE_DECLARE_OF_NOTHING, scene)),
    broker("closes channels with 406", 2, (scene) => closeChannels(node(), ACK_OF_NOTHING, scene)),
    ...refusals(server),
  ];
}

/** A service that starts while it is refused says so and ends, as it should: so none is killed meanwhile. */
function refusals(server: RabbitmqUnderFault): readonly FaultKind[] {
  const node = (): RabbitmqNode => server.anyNode();
  const kinds = [
    broker("knows another password for a while", 1, async (scene) => {
      await server.setPassword("another-password");
      await node().ctl("close_all_connections", "the password has changed");
      await scene.wait(scene.random.integer(2_000, 8_000));
      await server.setPassword(PASSWORD);
    }),
    broker("refuses everything for a while", 1, async (scene) => {
      await node().management.call("DELETE", `/permissions/%2F/${USER}`);
      await scene.wait(scene.random.integer(1_000, 6_000));
      await node().management.call("PUT", `/permissions/%2F/${USER}`, { body: { configure: ".*", write: ".*", read: ".*" } });
    }),
  ];
  return kinds.map((kind) => ({ ...kind, alone: true }));
}

/** A fault that may cost every service its connection, once. `work` returns what the log should say. */
export function broker(name: string, weight: number, work: (scene: Scene) => Promise<unknown>): FaultKind {
  return {
    kind: `broker: ${name}`,
    group: "broker",
    weight,
    async inject(scene): Promise<Injected> {
      const detail = await work(scene);
      return { hits: hitAll(scene), ...(typeof detail === "string" ? { detail } : {}) };
    },
  };
}

function alarms(server: RabbitmqUnderFault): readonly FaultKind[] {
  const alarm = (name: string, ...command: string[]): FaultKind =>
    broker(name, 1, async (scene) => {
      const ms = scene.random.pick([2_000, 5_000, 14_000]);
      for (const node of server.nodes) await node.ctl(...command);
      await scene.wait(ms);
      await clearAlarms(server.nodes);
      return `${ms} ms`;
    });
  return [alarm("memory alarm", "set_vm_memory_high_watermark", "0.00001"), alarm("disk alarm", "set_disk_free_limit", "9000GB")];
}

/**
 * A deleted queue takes its messages with it, and an event whose bindings are gone is confirmed and goes nowhere: so these are
 * done while nothing is on its way, and publishing goes on only when everything is there again.
 */
function deletions(server: RabbitmqUnderFault): readonly FaultKind[] {
  const management = () => server.anyNode().management;
  const kinds = [
    broker("queue deleted under its consumers", 1, async (scene) => {
      const queue = scene.random.pick(ENDPOINTS);
      await scene.whileEmpty(async () => {
        const before = await bindings(server.anyNode());
        await management().deleteQueue(queue);
        await untilBack(server, before, scene);
      });
      return queue;
    }),
    broker("retry queue deleted", 0.5, async (scene) => {
      const queues = (await management().listQueues()).map(({ name }) => name).filter((name) => name.includes(".retry."));
      const queue = scene.random.pick(queues);
      await scene.whileEmpty(() => management().deleteQueue(queue));
      // Made anew by the first retry that needs it, which comes soon, but may not come at all.
      const isBack = async (): Promise<boolean> => (await management().listQueues()).some(({ name }) => name === queue);
      const deadline = performance.now() + RETRY_COMES_WITHIN_MS;
      while (performance.now() < deadline && !(await isBack())) await scene.wait(200);
      await scene.wait(REGISTRATION_MS);
      return queue;
    }),
    broker("exchange deleted", 1, async (scene) => {
      const exchanges = (await management().call("GET", "/exchanges/%2F")) as { readonly name: string }[];
      const exchange = scene.random.pick(exchanges.map(({ name }) => name).filter((name) => name.startsWith("faults")));
      await scene.whileEmpty(async () => {
        const before = await bindings(server.anyNode());
        await management().deleteExchange(exchange);
        // Nobody is told that an exchange is gone. A lost connection makes the services look.
        await server.anyNode().ctl("close_all_connections", "the exchange is gone");
        await untilBack(server, before, scene);
      });
      return exchange;
    }),
  ];
  return kinds.map((kind) => ({ ...kind, fullOnly: true }));
}

/** Every queue and exchange with a binding, and every binding. */
async function bindings(node: RabbitmqNode): Promise<ReadonlySet<string>> {
  const all = (await node.management.call("GET", "/bindings/%2F")) as {
    readonly source: string;
    readonly destination: string;
  }[];
  return new Set(all.map(({ source, destination }) => `${source} -> ${destination}`));
}

async function untilBack(server: RabbitmqUnderFault, before: ReadonlySet<string>, scene: Scene): Promise<void> {
  const deadline = performance.now() + REPAIR_LIMIT_MS;
  for (;;) {
    const now = await bindings(server.anyNode());
    const missing = [...before].filter((binding) => !now.has(binding));
    if (missing.length === 0) return await scene.wait(REGISTRATION_MS);
    if (performance.now() > deadline) throw new Error(`not made again within ${REPAIR_LIMIT_MS} ms: ${missing.join(", ")}`);
    await scene.wait(200);
  }
}

async function closeChannels(node: RabbitmqNode, method: string, scene: Scene): Promise<string> {
  const everyNth = scene.random.pick([1, 2, 3]);
  const expression = `begin Ps = lists:sort(rabbit_channel:list()), [rabbit_channel:do(lists:nth(I, Ps), ${method}) || I <- lists:seq(1, length(Ps), ${everyNth})], length(Ps) end.`;
  const channels = (await node.ctl("eval", expression)).trim();
  return `${everyNth === 1 ? "all" : `one in ${everyNth}`} of ${channels}`;
}
