import type { DeliverySink, EndpointPlan, Receiver } from "../../src/contracts/transport.js";
import { type DeliveryHolder, MemoryDelivery } from "./delivery.js";
import { MemoryTransportError } from "./errors.js";
import type { StoredMessage } from "./mapping.js";

/** As many as publishers that do not wait for each other send in one turn: with fewer a backlog would grow whatever the consumers do. */
const MOST_A_TURN = 1024;

/**
 * Where receivers get their messages from, and where these go back to. Never hands out inside the call that made the message available,
 * and everything that is possible at once, not a timer or a microtask for each message. What is settled in a turn of the event loop makes
 * room for more in the same turn, up to a bound, so that nothing else of the process starves.
 */
export abstract class Feed {
  /** For people: where the message was. */
  abstract readonly source: string;
  #scheduled = false;
  #leftOfTurn = 0;

  /** Hands out what there is to those who have room. */
  protected abstract dispatch(): void;
  /** Whether a turn would hand something out, so that no turn is taken for nothing. */
  protected abstract get hasWork(): boolean;

  /** The message at this position has left for good. */
  abstract remove(position: number): void;
  /** The message goes back to its position. */
  abstract putBack(message: StoredMessage, position: number): void;
  /** The message goes to the endpoint after the delay. */
  abstract retry(message: StoredMessage, delayMs: number): void;
  /** The message goes to the endpoint's dead letters. */
  abstract deadLetter(message: StoredMessage): void;
  /** The receiver takes what there is from now on. */
  abstract join(receiver: MemoryReceiver): void;
  /** The receiver takes nothing more; it may still hold deliveries. */
  abstract leave(receiver: MemoryReceiver): void;

  /** Takes a turn, unless one is coming or there is nothing to do in it. */
  schedule(): void {
    if (this.#scheduled || !this.hasWork) return;
    this.#scheduled = true;
    if (this.#leftOfTurn > 0) queueMicrotask(this.#handOut);
    else setImmediate(this.#turn);
  }

  /** Called for each message that is handed out. */
  handed(): void {
    this.#leftOfTurn--;
  }

  readonly #turn = (): void => {
    this.#leftOfTurn = MOST_A_TURN;
    this.#handOut();
  };

  readonly #handOut = (): void => {
    this.#scheduled = false;
    this.dispatch();
  };
}

/** One `Transport.receive`: holds at most `prefetch` deliveries of a {@link Feed} and hands each to the core. */
export class MemoryReceiver implements Receiver, DeliveryHolder {
  readonly retryDelaysMs: readonly number[];
  readonly #feed: Feed;
  readonly #sink: DeliverySink;
  readonly #prefetch: number;
  readonly #onClose: () => void;
  /** In no order: the last takes the place of one that is settled. */
  #held: MemoryDelivery[] = [];
  #stopped: Promise<void> | undefined;

  constructor(feed: Feed, sink: DeliverySink, prefetch: number, endpoint: EndpointPlan, onClose: () => void) {
    this.#feed = feed;
    this.#sink = sink;
    this.#prefetch = prefetch;
    this.retryDelaysMs = endpoint.retryDelaysMs;
    this.#onClose = onClose;
  }

  get source(): string {
    return this.#feed.source;
  }

  /** How many deliveries it may still be handed. */
  get room(): number {
    return this.#stopped ? 0 : this.#prefetch - this.#held.length;
  }

  get holdsAny(): boolean {
    return this.#held.length > 0;
  }

  /** Whether it holds an unsettled delivery of this partition key. */
  holdsKey(partitionKey: string): boolean {
    return this.#held.some((delivery) => delivery.properties.partitionKey === partitionKey);
  }

  /** Called by the feed, which has looked at `room`. */
  hand(message: StoredMessage, position: number): void {
    const delivery = new MemoryDelivery(this, message, position, this.#held.length);
    this.#held.push(delivery);
    this.#feed.handed();
    this.#sink.deliver(delivery);
  }

  /** Called by the feed of dead letters, once. */
  exhausted(): void {
    if (!this.#stopped) this.#sink.exhausted();
  }

  complete(delivery: MemoryDelivery): void {
    this.#feed.remove(delivery.position);
    this.#letGo(delivery);
  }

  checkDelay(delayMs: number): void {
    if (this.retryDelaysMs.includes(delayMs)) return;
    // Other brokers have a queue or topic for each planned delay and no other: what passes here must pass there.
    throw new MemoryTransportError(
      "topology",
      `No retry after ${delayMs} ms is planned for "${this.source}": the delay has no place there.`,
      false,
    );
  }

  retry(delivery: MemoryDelivery, copy: StoredMessage, delayMs: number): void {
    this.#feed.remove(delivery.position);
    this.#feed.retry(copy, delayMs);
    this.#letGo(delivery);
  }

  deadLetter(delivery: MemoryDelivery, copy: StoredMessage): void {
    this.#feed.remove(delivery.position);
    this.#feed.deadLetter(copy);
    this.#letGo(delivery);
  }

  release(delivery: MemoryDelivery): void {
    this.#feed.putBack(delivery.message, delivery.position);
    this.#letGo(delivery);
  }

  stop(): Promise<void> {
    if (!this.#stopped) {
      this.#stopped = Promise.resolve();
      this.#feed.leave(this);
    }
    return this.#stopped;
  }

  /** Takes no time: every settlement has taken effect in the call that made it. */
  async close(): Promise<void> {
    void this.stop();
    this.#onClose();
    const unsettled = this.#held;
    this.#held = [];
    for (const delivery of unsettled) {
      this.#feed.putBack(delivery.message, delivery.position);
      delivery.lose();
    }
    for (const delivery of unsettled) delivery.announceLoss();
    this.#feed.schedule();
  }

  #letGo(delivery: MemoryDelivery): void {
    const last = this.#held.pop();
    if (last && last !== delivery) {
      this.#held[delivery.slot] = last;
      last.slot = delivery.slot;
    }
    this.#feed.schedule();
  }
}
