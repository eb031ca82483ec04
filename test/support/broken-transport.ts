import type {
  Delivery,
  DeliverySink,
  OutgoingMessage,
  Receiver,
  ReceiveSource,
  SendResult,
  TopologyPlan,
  Transport,
  TransportHost,
} from "../../src/index.js";

/** One way of breaking the port: what is given replaces what the transport does. */
export interface Breakage {
  readonly open?: (host: TransportHost) => TransportHost;
  readonly provision?: (plan: TopologyPlan, mode: "create" | "verify") => [plan: TopologyPlan, mode: "create" | "verify"];
  readonly send?: (
    messages: readonly OutgoingMessage[],
    pass: (messages: readonly OutgoingMessage[]) => Promise<readonly SendResult[]>,
  ) => Promise<readonly SendResult[]>;
  readonly receive?: (source: ReceiveSource) => ReceiveSource;
  readonly deliver?: (delivery: Delivery, source: ReceiveSource, pass: (delivery: Delivery) => void) => void;
}

/** A transport that breaks its contract on purpose: what the conformance suite is for. */
export function brokenTransport(whole: Transport, breakage: Breakage): Transport {
  return {
    name: `broken ${whole.name}`,
    capabilities: whole.capabilities,
    share: () => brokenTransport(whole.share?.() ?? whole, breakage),
    open: (host, signal) => whole.open(breakage.open?.(host) ?? host, signal),
    provision: (plan, mode) => whole.provision(...(breakage.provision?.(plan, mode) ?? [plan, mode])),
    send: (messages, signal) => {
      const pass = (some: readonly OutgoingMessage[]): Promise<readonly SendResult[]> => whole.send(some, signal);
      return breakage.send?.(messages, pass) ?? pass(messages);
    },
    receive: (source: ReceiveSource, sink: DeliverySink): Promise<Receiver> => {
      const pass = (delivery: Delivery): void => sink.deliver(delivery);
      return whole.receive(breakage.receive?.(source) ?? source, {
        deliver: (delivery) => (breakage.deliver ? breakage.deliver(delivery, source, pass) : pass(delivery)),
        exhausted: () => sink.exhausted(),
      });
    },
    close: (deadline) => whole.close(deadline),
  };
}

/** The delivery with some of its parts replaced. */
export function alteredDelivery(delivery: Delivery, parts: Partial<Delivery>): Delivery {
  return {
    body: delivery.body,
    properties: delivery.properties,
    headers: delivery.headers,
    source: delivery.source,
    suspicion: delivery.suspicion,
    get lost() {
      return delivery.lost;
    },
    get isLost() {
      return delivery.isLost;
    },
    complete: () => delivery.complete(),
    retry: (delayMs, failure) => delivery.retry(delayMs, failure),
    deadLetter: (failure) => delivery.deadLetter(failure),
    release: () => delivery.release(),
    ...parts,
  };
}
