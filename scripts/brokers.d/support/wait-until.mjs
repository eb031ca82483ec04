import { setTimeout as sleep } from "node:timers/promises";

/**
 * Asks `check` again and again until it answers with something truthy.
 * @template T
 * @param {string} what completes the sentence "waited N ms for ..."
 * @param {() => T | Promise<T>} check an exception counts as "not yet" and ends up in the final error
 * @param {{ deadlineMs: number, everyMs?: number, giveUp?: () => string | undefined }} options `giveUp` returns a reason to stop waiting early
 * @returns {Promise<Exclude<T, undefined | null | false>>}
 */
export async function waitUntil(what, check, { deadlineMs, everyMs = 100, giveUp }) {
  const started = Date.now();
  for (;;) {
    let problem;
    try {
      const answer = await check();
      if (answer) return /** @type {Exclude<T, undefined | null | false>} */ (answer);
    } catch (error) {
      problem = error;
    }
    const reason = giveUp?.();
    if (reason !== undefined) throw new Error(`stopped waiting for ${what}: ${reason}`, { cause: problem });
    if (Date.now() - started > deadlineMs) throw new Error(`waited ${deadlineMs} ms for ${what}`, { cause: problem });
    await sleep(everyMs);
  }
}
