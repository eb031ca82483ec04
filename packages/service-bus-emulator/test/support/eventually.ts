import { vi } from "vitest";

/** Waits until an assertion holds: as long as a machine with better things to do may take. */
export function eventually(assertion: () => void | Promise<void>, interval = 20): Promise<void> {
  return vi.waitFor(assertion, { interval, timeout: 20_000 });
}
