import { type Behaviour, TcpProxy } from "../support/tcp-proxy.js";

/** Where a broker, or one node of it, takes clients. */
export interface BrokerAddress {
  readonly name: string;
  readonly port: number;
  /** Where the proxy before it listens, when the broker has to know. @default any free port */
  readonly proxyPort?: number;
}

/** The wires between one service and the broker: a proxy of its own for each node, so that a fault can hit one service alone. */
export class ServiceNetwork {
  readonly proxies: readonly TcpProxy[];

  private constructor(proxies: readonly TcpProxy[]) {
    this.proxies = proxies;
  }

  static async open(addresses: readonly BrokerAddress[], seed: number): Promise<ServiceNetwork> {
    const proxy = ({ port, proxyPort }: BrokerAddress, i: number): Promise<TcpProxy> =>
      TcpProxy.listen({ targetPort: port, seed: seed + i, port: proxyPort ?? 0 });
    return new ServiceNetwork(await Promise.all(addresses.map(proxy)));
  }

  get ports(): readonly number[] {
    return this.proxies.map((proxy) => proxy.port);
  }

  /** Connections that the proxies have broken so far. */
  get cuts(): number {
    return this.proxies.reduce((sum, proxy) => sum + proxy.cut, 0);
  }

  async apply(behaviour: Behaviour): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.apply(behaviour)));
  }

  async heal(): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.heal()));
  }

  async close(): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
  }
}
