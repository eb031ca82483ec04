import type { Channel, Message } from "amqplib";

/** What a channel holds, as far as the channel must know it. */
export interface HeldDelivery {
  /** The channel is gone; the message is somebody else's now. */
  lose(): void;
  /** Tells it to those who asked. Apart from `lose`, since a listener may settle others, which must know by then that they are lost. */
  announceLoss(): void;
}

/**
 * What one channel has delivered and nobody has settled, and its acknowledgements: once a turn of the event loop, one for the whole
 * settled prefix (all up to the first unsettled) and one each for what lies beyond it. It lives and ends with its channel: a tag
 * of it can never be acknowledged on another.
 */
export class HeldDeliveries<T extends HeldDelivery = HeldDelivery> {
  readonly #channel: Channel;
  /** In the order of delivery, so that the first is the oldest. */
  readonly #unsettled = new Map<number, T>();
  #settled: number[] = [];
  #isFlushPlanned = false;
  #isOpen = true;
  #newest = 0;
  #firstKept = Number.POSITIVE_INFINITY;
  #isLeaving = false;
  #whenEmpty: (() => void)[] = [];
  readonly #flush = (): void => this.flush();

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** `false` once the channel is gone: then everything that it held is lost. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get size(): number {
    return this.#unsettled.size;
  }

  /** Whether the channel is about to be closed, so that nothing of it should be begun any more. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** From now on a delivery that asks whether it is lost, as it does before it is run, is. */
  leave(): void {
    this.#isLeaving = true;
  }

  /** The tag of what has been held longest. */
  get oldest(): number | undefined {
    const first = this.#unsettled.keys().next();
    return first.done ? undefined : first.value;
  }

  /** The tag of what came last. */
  get newest(): number {
    return this.#newest;
  }

  /** One that comes when the channel is gone already is lost at once: amqplib hands over what it had read with the channel's end in one go. */
  add(tag: number, delivery: T): void {
    if (!this.#isOpen) {
      delivery.lose();
      return;
    }
    // What came in between reached nobody, so it must not be acknowledged with what comes after it.
    if (tag !== this.#newest + 1) this.#firstKept = Math.min(this.#firstKept, this.#newest + 1);
    this.#newest = tag;
    this.#unsettled.set(tag, delivery);
  }

  /** Done with. */
  settle(tag: number): void {
    if (!this.#isOpen) return;
    this.#unsettled.delete(tag);
    this.#settled.push(tag);
    if (!this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      setImmediate(this.#flush);
    }
    if (this.#unsettled.size === 0) this.#tellEmpty();
  }

  /** Back to the head of the queue, now. */
  giveBack(tag: number): void {
    if (!this.#isOpen) return;
    this.#unsettled.delete(tag);
    this.#send(() => this.#channel.nack(withTag(tag), false, true));
    if (this.#unsettled.size === 0) this.#tellEmpty();
  }

  /** To the queue's own dead-letter exchange: the broker moves it, untouched. */
  reject(tag: number): void {
    if (!this.#isOpen) return;
    this.#unsettled.delete(tag);
    this.#send(() => this.#channel.nack(withTag(tag), false, false));
    if (this.#unsettled.size === 0) this.#tellEmpty();
  }

  /**
   * Neither answered nor remembered: it stays with the channel and goes back to its place when that closes. From then on nothing
   * is acknowledged together with what came before it.
   */
  keep(tag: number): void {
    this.#unsettled.delete(tag);
    if (tag < this.#firstKept) this.#firstKept = tag;
    if (this.#unsettled.size === 0) this.#tellEmpty();
  }

  /** Acknowledges what was settled since the last time. */
  flush(): void {
    this.#isFlushPlanned = false;
    const settled = this.#settled;
    if (settled.length === 0 || !this.#isOpen) return;
    this.#settled = [];
    const end = Math.min(this.oldest ?? Number.POSITIVE_INFINITY, this.#firstKept);
    let prefix = 0;
    for (const tag of settled) if (tag < end && tag > prefix) prefix = tag;
    this.#send(() => {
      if (prefix > 0) this.#channel.ack(withTag(prefix), true);
      for (const tag of settled) if (tag > end) this.#channel.ack(withTag(tag), false);
    });
  }

  /** Resolves when nothing is unsettled, or all of it is lost. */
  whenEmpty(): Promise<void> {
    if (this.#unsettled.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  /** The channel is gone. @returns what was unsettled */
  lose(): readonly T[] {
    if (!this.#isOpen) return [];
    this.#isOpen = false;
    this.#settled = [];
    const lost = [...this.#unsettled.values()];
    this.#unsettled.clear();
    for (const delivery of lost) delivery.lose();
    for (const delivery of lost) delivery.announceLoss();
    this.#tellEmpty();
    return lost;
  }

  // amqplib throws when the channel closed a moment ago and the event is still to come; the broker then gives the messages out again.
  #send(operation: () => void): void {
    try {
      operation();
    } catch {
      this.lose();
    }
  }

  #tellEmpty(): void {
    const waiting = this.#whenEmpty;
    if (waiting.length === 0) return;
    this.#whenEmpty = [];
    for (const resolve of waiting) resolve();
  }
}

/** All of a message that amqplib looks at to answer for it. */
function withTag(deliveryTag: number): Message {
  return { fields: { deliveryTag } } as Message;
}
