import { createBus } from "trolleybus";
import { memory } from "trolleybus/memory";
import { countdown, type Figures, meter, pump } from "../meter.js";
import { OrderPlaced, rawDocument } from "../payload.js";

const MESSAGES = 100_000;
const WARM_UP = 20_000;

/** What no bus can do without: the document written and read. */
export async function memoryJson(): Promise<Figures> {
  const work = (n: number): void => {
    for (let i = 0; i < n; i++) JSON.parse(rawDocument(new OrderPlaced(i, 0)).text);
  };
  work(WARM_UP);
  const measured = meter();
  work(MESSAGES);
  return measured.stop(MESSAGES);
}

/** Published, encoded, decoded, deduplicated and handled. */
export async function memoryBus(): Promise<Figures> {
  const bus = createBus({ service: "bench", transport: memory(), prefetch: 100 });
  let hit = (): void => undefined;
  bus.subscribe(OrderPlaced, () => hit());
  await bus.start();
  const work = async (n: number): Promise<void> => {
    const handled = countdown(n);
    hit = handled.hit;
    await pump(n, 1000, (i) => bus.publish(new OrderPlaced(i, 0)));
    await handled.done;
  };
  await work(WARM_UP);
  const measured = meter();
  await work(MESSAGES);
  const figures = measured.stop(MESSAGES);
  await bus.stop();
  return figures;
}
