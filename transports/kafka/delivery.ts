import type { Delivery, FailureHeaders, NativeProperties } from "../../src/contracts/transport.js";
import type { AssignedPartition } from "./assigned-partition.js";
import type { IncomingRecord } from "./driver.js";
import { bodyOf, headersOf, propertiesOf } from "./mapping.js";

/** What all deliveries of one receiver share. */
export interface DeliveryHome {
  /** Stores a copy for later. @throws KafkaError when it was not stored, or no such delay was planned */
  storeRetry(record: IncomingRecord, delayMs: number, failure: FailureHeaders): Promise<void>;
  /** Stores the dead letter. @throws KafkaError when it was not stored */
  storeDeadLetter(record: IncomingRecord, failure: FailureHeaders): Promise<void>;
  /** Before a release. "settle": a copy took the record's place. "leave": it is not committed, and comes again. @throws KafkaError */
  giveBack(record: IncomingRecord): Promise<"settle" | "leave">;
  /** Called once when it is settled. */
  settled(delivery: KafkaDelivery): void;
  /** Called once when it is given back uncommitted. */
  left(delivery: KafkaDelivery): void;
  /** It was run alone, failed, killed nobody, and is kept to be run again. */
  survived(delivery: KafkaDelivery): void;
}

/** Open: nothing asked yet. Busy: a copy is on its way. */
type State = "open" | "busy" | "settled";

/** One record that was handed over. There is one for each, so methods are on the prototype and everything else on demand. */
export class KafkaDelivery implements Delivery {
  readonly record: IncomingRecord;
  readonly partition: AssignedPartition;
  readonly suspicion: Delivery["suspicion"];
  readonly #home: DeliveryHome;
  #state: State = "open";
  #loss: AbortController | undefined;
  #properties: Partial<NativeProperties> | undefined;
  #headers: Readonly<Record<string, string>> | undefined;

  constructor(record: IncomingRecord, partition: AssignedPartition, home: DeliveryHome, suspicion: Delivery["suspicion"]) {
    this.record = record;
    this.partition = partition;
    this.#home = home;
    this.suspicion = suspicion;
  }

  get body(): Uint8Array {
    return bodyOf(this.record);
  }

  get properties(): Partial<NativeProperties> {
    this.#properties ??= propertiesOf(this.record);
    return this.#properties;
  }

  get headers(): Readonly<Record<string, string>> {
    this.#headers ??= headersOf(this.record);
    return this.#headers;
  }

  get source(): string {
    const { topic, partition, offset } = this.record;
    return `${topic}/${partition}@${offset}`;
  }

  get lost(): AbortSignal {
    if (!this.#loss) {
      this.#loss = new AbortController();
      if (this.isLost) this.#loss.abort();
      else if (this.#state !== "settled") this.partition.tellLoss(this.#loss);
    }
    return this.#loss.signal;
  }

  get isLost(): boolean {
    return this.partition.isLost;
  }

  survived(): void {
    if (this.suspicion === "careful") this.#home.survived(this);
  }

  complete(): "settled" | "lost" {
    this.#begin("complete");
    return this.#end();
  }

  async retry(delayMs: number, failure: FailureHeaders): Promise<"settled" | "lost"> {
    return this.#replaceBy("retry", () => this.#home.storeRetry(this.record, delayMs, failure));
  }

  async deadLetter(failure: FailureHeaders): Promise<"settled" | "lost"> {
    return this.#replaceBy("deadLetter", () => this.#home.storeDeadLetter(this.record, failure));
  }

  async release(): Promise<"settled" | "lost"> {
    let answer: "settle" | "leave" = "settle";
    return this.#replaceBy(
      "release",
      async () => {
        answer = await this.#home.giveBack(this.record);
      },
      () => answer === "leave",
    );
  }

  /** The copy is stored before the original is done; when it is not, the original is still held and open. */
  async #replaceBy(verb: string, store: () => Promise<void>, isLeft?: () => boolean): Promise<"settled" | "lost"> {
    this.#begin(verb);
    if (this.isLost) return this.#end();
    try {
      await store();
    } catch (error) {
      if (this.isLost) return this.#end();
      this.#state = "open";
      throw error;
    }
    return this.#end(isLeft?.());
  }

  #begin(verb: string): void {
    if (this.#state !== "open") {
      throw new Error(
        `${verb}() was called on a delivery of "${this.source}" that is settled already: exactly one verb may be called, once.`,
      );
    }
    this.#state = "busy";
  }

  #end(isLeft = false): "settled" | "lost" {
    this.#state = "settled";
    if (this.#loss) this.partition.forgetLoss(this.#loss);
    if (this.isLost) return "lost";
    if (isLeft) this.#home.left(this);
    else this.#home.settled(this);
    return "settled";
  }
}
