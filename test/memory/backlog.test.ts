import { expect, test } from "vitest";
import { Backlog } from "../../transports/memory/backlog.js";
import type { StoredMessage } from "../../transports/memory/mapping.js";

function stored(id: number): StoredMessage {
  const properties = { messageId: `${id}`, messageType: "t", contentType: "c", correlationId: "c", partitionKey: undefined };
  return { body: new Uint8Array(0), headers: {}, properties };
}

test("a backlog hands out in order, whatever is added, taken and put back at random", () => {
  const backlog = new Backlog();
  /** The ids that wait: the position of a message is its id. */
  const model: number[] = [];
  const taken: number[] = [];
  let added = 0;
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  for (let step = 0; step < 50_000; step++) {
    const action = random(step % 10_000 < 5_000 ? 8 : 16);
    if (action < 4) {
      backlog.push(stored(added));
      model.push(added++);
    } else if (action < 6 && taken.length > 0) {
      const [id = -1] = taken.splice(random(taken.length), 1);
      backlog.putBack(stored(id), id);
      model.push(id);
      model.sort((a, b) => a - b);
    } else if (model.length > 0) {
      const id = model.shift() ?? -1;
      expect(backlog.peek()?.properties.messageId).toBe(`${id}`);
      expect(backlog.position).toBe(id);
      expect(backlog.shift()?.properties.messageId).toBe(`${id}`);
      taken.push(id);
    }
    if (taken.length > 200) taken.splice(0, 100);
    expect(backlog.length).toBe(model.length);
  }
});

test("an empty backlog has nothing to hand out", () => {
  const backlog = new Backlog();
  expect([backlog.length, backlog.peek(), backlog.shift(), backlog.length]).toEqual([0, undefined, undefined, 0]);
});
