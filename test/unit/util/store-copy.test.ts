import { expect, test } from "vitest";
import type { FailureHeaders, SendResult, TransportError } from "../../../src/contracts/transport.js";
import { TrolleybusError } from "../../../src/errors.js";
import { storeCopy } from "../../../src/util/store-copy.js";

const SENT: SendResult = { outcome: "sent" };
const FAILURE: FailureHeaders = { "tb-attempts": "3", "tb-error-message": "x".repeat(256), "tb-error-stack": "x".repeat(257) };

function failed(code: TransportError["code"], outcome: "refused" | "unknown" = "refused"): SendResult {
  return { outcome, error: new TrolleybusError(code, code, { cause: undefined, retryable: false }) as TransportError };
}

/** Answers with these results, one after the other, and notes what was sent. */
function broker(...results: readonly SendResult[]) {
  const left = [...results];
  const sent: FailureHeaders[] = [];
  let repairs = 0;
  return {
    sent,
    get repairs(): number {
      return repairs;
    },
    store: (canRepair = true) =>
      storeCopy(
        FAILURE,
        async (details) => {
          sent.push(details);
          return left.shift() ?? SENT;
        },
        async () => {
          repairs++;
          return canRepair;
        },
      ),
  };
}

test("a copy is stored with all that is known of the failure", async () => {
  const { store, sent } = broker(SENT);
  await store();
  expect(sent).toEqual([FAILURE]);
});

test("a copy that is too large leaves its long details behind, and nothing else", async () => {
  const { store, sent } = broker(failed("too-large"));
  await store();
  expect(sent).toEqual([FAILURE, { "tb-attempts": "3", "tb-error-message": "x".repeat(256) }]);
});

test("a copy that is too large without them is not stored", async () => {
  const { store, sent } = broker(failed("too-large"), failed("too-large"));
  await expect(store()).rejects.toMatchObject({ code: "too-large" });
  expect(sent).toHaveLength(2);
});

test("a copy that found no queue is sent once more when that could be repaired", async () => {
  const made = broker(failed("unroutable"));
  await made.store();
  expect([made.sent.length, made.repairs]).toEqual([2, 1]);
});

test("what cannot be repaired, or is missing again, is told", async () => {
  const beyondRepair = broker(failed("unroutable"));
  await expect(beyondRepair.store(false)).rejects.toMatchObject({ code: "unroutable" });
  expect([beyondRepair.sent.length, beyondRepair.repairs]).toEqual([1, 1]);
  const missingAgain = broker(failed("unroutable"), failed("unroutable"));
  await expect(missingAgain.store()).rejects.toMatchObject({ code: "unroutable" });
  expect([missingAgain.sent.length, missingAgain.repairs]).toEqual([2, 1]);
});

test("whatever else the broker says is told at once, also that the copy may be stored", async () => {
  const { store, sent } = broker(failed("unavailable", "unknown"));
  await expect(store()).rejects.toMatchObject({ code: "unavailable" });
  expect(sent).toHaveLength(1);
});
