import { randomUUID } from "node:crypto";

const items = Array.from({ length: 6 }, (_, i) => ({
  sku: `SKU-00${i}`,
  quantity: i + 1,
  price: 19.99 + i,
  title: `Item number ${i} with a descriptive title`,
}));
const customer = { id: "c-1234567", name: "Ada Lovelace", email: "ada@example.org", tags: ["vip", "eu", "newsletter"] };

/** An order of about 1 KB of JSON: what every case sends. */
export class OrderPlaced {
  static readonly messageType = "bench.order-placed";
  readonly orderId = "01J9ZK3V7Q8W4X5Y6Z7A8B9C0D";
  readonly customer: typeof customer = customer;
  readonly items: typeof items = items;
  readonly total = 131.94;
  readonly currency = "EUR";
  readonly paid = true;
  readonly note = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.";
  readonly pad: string = "x".repeat(120);

  constructor(
    readonly n: number,
    readonly sentAtMs: number,
  ) {}
}

/** The same document as the bus writes, made with nothing but `JSON.stringify`: the raw client has to send the same bytes. */
export function rawDocument(message: OrderPlaced): { readonly id: string; readonly text: string } {
  const id = randomUUID().replaceAll("-", "").slice(0, 26);
  const text = JSON.stringify({
    specversion: "1.0",
    id,
    source: "bench",
    type: OrderPlaced.messageType,
    time: new Date().toISOString(),
    datacontenttype: "application/json",
    correlationid: id,
    conversationid: id,
    data: message,
  });
  return { id, text };
}
