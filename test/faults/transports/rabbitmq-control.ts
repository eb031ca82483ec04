/** What `scripts/brokers.d` gives for a RabbitMQ server, as far as it is used here. */
export interface RabbitmqNode {
  readonly name: string;
  readonly nodeName: string;
  readonly amqpUrl: string;
  readonly pid: number | undefined;
  readonly management: RabbitmqManagement;
  start(): Promise<void>;
  launch(): Promise<void>;
  ready(): Promise<void>;
  stop(): Promise<void>;
  stopHelpers(): Promise<void>;
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  ctl(...args: string[]): Promise<string>;
  deleteData(): void;
}

export interface RabbitmqManagement {
  call(method: string, path: string, options?: { readonly body?: unknown; readonly accept?: readonly number[] }): Promise<unknown>;
  listQueues(): Promise<readonly { readonly name: string; readonly messages?: number }[]>;
  deleteQueue(name: string): Promise<void>;
  deleteExchange(name: string): Promise<void>;
}

export interface RabbitmqCluster {
  readonly nodes: readonly RabbitmqNode[];
  start(): Promise<void>;
  whole(): Promise<void>;
  stop(): Promise<void>;
  leaderOf(queue: string): Promise<RabbitmqNode>;
  cutOff(node: RabbitmqNode): Promise<void>;
  rejoin(node: RabbitmqNode): Promise<void>;
  deleteData(): void;
}

/** How one of the brokers comes to this machine. */
interface BrokerInstaller {
  /** Does nothing when it is there. @throws an error named "BrokerUnavailable" where it cannot be had. */
  install(): Promise<void>;
}

interface BrokerScripts {
  readonly rabbitmq: BrokerInstaller;
  readonly rabbitmq4: BrokerInstaller;
  readonly rabbitmqCluster: BrokerInstaller;
  rabbitmqControl(instance: { readonly name: string; readonly amqpPort: number }): RabbitmqNode;
  rabbitmq4Control(instance: { readonly name: string; readonly amqpPort: number }): RabbitmqNode;
  rabbitmqClusterControl(instance: { readonly name: string; readonly firstPort: number }): RabbitmqCluster;
}

/** The broker scripts are plain JavaScript with types in comments; this is the one place that says what they are. */
export async function brokerScripts(): Promise<BrokerScripts> {
  const location = new URL("../../../scripts/brokers.d/index.mjs", import.meta.url).href;
  return (await import(location)) as BrokerScripts;
}
