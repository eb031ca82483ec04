import type { Delivery } from "../contracts/transport.js";
import { delay } from "../util/delay.js";

/** Waits `ms` while holding a delivery; false when `cut` aborted or the delivery was lost meanwhile. */
export async function waitWith(delivery: Delivery, ms: number, cut: AbortSignal): Promise<boolean> {
  if (cut.aborted || delivery.isLost) return false;
  if (ms > 0) await delay(ms, cut, delivery.lost);
  return !cut.aborted && !delivery.isLost;
}
