import { type HttpServer, serve } from "../http/serve.js";

export interface Mail {
  readonly to: string;
  readonly orderId: string;
}

/**
 * The carrier and the mail server: other people's systems, which fail when they like. What they have seen is the proof of
 * what the services did.
 */
export class OutsideWorld {
  readonly parcels = new Map<string, string>();
  readonly mails: Mail[] = [];
  readonly #calls = new Map<string, number>();
  #failuresOfCarrier = 0;
  #server: HttpServer | undefined;

  async open(): Promise<{ readonly carrier: string; readonly mailbox: string }> {
    this.#server = await serve({
      "PUT /parcels/:id": ({ id }) => this.#book(id),
      "POST /mails": ({ body }) => {
        this.mails.push(body as Mail);
        return { status: 202 };
      },
    });
    return { carrier: this.#server.url, mailbox: this.#server.url };
  }

  /** The carrier's next `times` answers are 503. */
  carrierFails(times: number): void {
    this.#failuresOfCarrier = times;
  }

  mailsAbout(orderId: string): number {
    return this.mails.filter((mail) => mail.orderId === orderId).length;
  }

  /** How often the carrier was asked for this parcel, answered or not. */
  carrierCallsFor(orderId: string): number {
    return this.#calls.get(orderId) ?? 0;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  #book(orderId: string): { status: number; body: object } {
    this.#calls.set(orderId, this.carrierCallsFor(orderId) + 1);
    if (this.#failuresOfCarrier > 0) {
      this.#failuresOfCarrier -= 1;
      return { status: 503, body: { error: "out of order" } };
    }
    const tracking = this.parcels.get(orderId) ?? `TB-${String(this.parcels.size + 1).padStart(4, "0")}`;
    this.parcels.set(orderId, tracking);
    return { status: 201, body: { tracking } };
  }
}
