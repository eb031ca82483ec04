/** Lets the event loop go round until `condition` holds; fails after 5 s, naming what was waited for. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const giveUpAt = realNow() + 5000;
  while (!condition()) {
    if (realNow() > giveUpAt) throw new Error(`Waited 5 s in vain: ${what}.`);
    await turn();
  }
}

/** Lets everything happen that was going to happen without the passing of time. */
export async function settled(turns = 10): Promise<void> {
  for (let i = 0; i < turns; i++) await turn();
}

// Taken before a test can replace the clock and the timers.
const realSetImmediate = setImmediate;
const realNow = performance.now.bind(performance);

function turn(): Promise<void> {
  return new Promise((resolve) => realSetImmediate(resolve));
}
