import { describe, expect, it } from "vitest";
import type { BrokerError } from "../../src/broker/broker-error.js";
import type { QueueEntity } from "../../src/broker/queue-entity.js";
import { acceptSession, message, namespaceOfTest, receive, refusal, TestReceiver } from "../support/broker.js";
import type { ManualClock } from "../support/manual-clock.js";

const OPTIONS = new TestReceiver().options;

function sessionQueue(): { readonly clock: ManualClock; readonly queue: QueueEntity } {
  const { namespace, clock } = namespaceOfTest();
  return { clock, queue: namespace.createQueue("q", { requiresSession: true, lockDuration: 10_000 }) };
}

function send(queue: QueueEntity, ...texts: string[]): void {
  queue.send(texts.map((text) => message(text, { session: text.charAt(0) })));
}

/** The condition that a request for a session is refused with. */
async function refused(request: Promise<unknown>): Promise<string> {
  return request.then(
    () => "not refused",
    (error: BrokerError) => error.condition,
  );
}

describe("A queue that requires sessions", () => {
  it("refuses messages without a session id and receivers without a session", () => {
    const { queue } = sessionQueue();
    expect(refusal(() => queue.send([message("m1", { session: "s" }), message("m2")])).condition).toBe("amqp:not-allowed");
    expect(queue.peek(0n, 10)).toEqual([]);
    expect(refusal(() => receive(queue)).condition).toBe("amqp:not-allowed");
  });

  it("gives a session's messages to its holder alone, in order, also those that come later", async () => {
    const { queue } = sessionQueue();
    send(queue, "a1", "b1", "a2");
    const [a, b] = [await acceptSession(queue, "a"), await acceptSession(queue, "b")];
    for (const receiver of [a, b]) receiver.link.setCredit(10);
    send(queue, "b2", "a3");
    expect(a.texts).toEqual(["a1", "a2", "a3"]);
    expect(b.texts).toEqual(["b1", "b2"]);
  });

  it("refuses a session that another receiver holds, and gives it back when that one closes", async () => {
    const { queue } = sessionQueue();
    const first = await acceptSession(queue, "a");
    expect(await refused(acceptSession(queue, "a"))).toBe("com.microsoft:session-cannot-be-locked");
    first.link.close();
    expect((await acceptSession(queue, "a")).link.session?.id).toBe("a");
  });

  it("lets a session be accepted that has no messages yet", async () => {
    const { queue } = sessionQueue();
    const receiver = await acceptSession(queue, "new");
    receiver.link.setCredit(1);
    queue.send([message("n1", { session: "new" })]);
    expect(receiver.texts).toEqual(["n1"]);
  });

  it("gives the next free session that has messages, the longest waiting first", async () => {
    const { queue } = sessionQueue();
    send(queue, "b1", "a1", "c1");
    const ids: (string | undefined)[] = [];
    for (let i = 0; i < 3; i++) ids.push((await acceptSession(queue, undefined)).link.session?.id);
    expect(ids).toEqual(["b", "a", "c"]);
  });

  it("lets who asks for any session wait until there is one, first come first served", async () => {
    const { queue, clock } = sessionQueue();
    const [first, second] = [acceptSession(queue, undefined, 60_000), acceptSession(queue, undefined, 60_000)];
    clock.advance(30_000);
    send(queue, "a1", "a2", "b1");
    expect((await first).link.session?.id).toBe("a");
    expect((await second).link.session?.id).toBe("b");
  });

  it("tells who waited in vain that the time is over", async () => {
    const { queue, clock } = sessionQueue();
    const request = refused(acceptSession(queue, undefined, 2000));
    clock.advance(2000);
    expect(await request).toBe("com.microsoft:timeout");
    send(queue, "a1");
    expect((await acceptSession(queue, undefined)).link.session?.id).toBe("a");
  });

  it("gives nothing to a waiting receiver that went away", async () => {
    const { queue } = sessionQueue();
    const request = queue.openSession({ ...OPTIONS, sessionId: undefined, timeoutMilliseconds: 60_000 });
    request.cancel();
    expect(await refused(request.receiver)).toBe("amqp:link:detach-forced");
    send(queue, "a1");
    expect((await acceptSession(queue, "a")).link.session?.id).toBe("a");
  });

  it("takes back a session that was granted when its receiver had just gone away", async () => {
    const { queue } = sessionQueue();
    const request = queue.openSession({ ...OPTIONS, sessionId: "a", timeoutMilliseconds: 0 });
    request.cancel();
    await request.receiver;
    expect((await acceptSession(queue, "a")).link.session?.id).toBe("a");
  });

  it("does not offer a session whose messages are all locked or deferred", async () => {
    const { queue, clock } = sessionQueue();
    send(queue, "a1");
    const holder = await acceptSession(queue, "a");
    holder.link.setCredit(1);
    queue.settle(holder.last.lockToken, { kind: "defer" });
    holder.link.close();
    const request = refused(acceptSession(queue, undefined, 1000));
    clock.advance(1000);
    expect(await request).toBe("com.microsoft:timeout");
    await acceptSession(queue, "a");
    expect(queue.receiveDeferred([1n], "peek-lock", "a")).toHaveLength(1);
  });

  it("locks a session for the entity's lock duration, until it is renewed", async () => {
    const { queue, clock } = sessionQueue();
    send(queue, "a1");
    const holder = await acceptSession(queue, "a");
    holder.link.setCredit(1);
    expect(holder.link.session?.lockedUntil).toBe(clock.now() + 10_000);
    expect(holder.last.lockedUntil).toBe(clock.now() + 10_000);
    clock.advance(9000);
    expect(queue.renewSessionLock("a")).toBe(clock.now() + 10_000);
    clock.advance(9999);
    expect(holder.ended).toBeUndefined();
    expect(queue.renewLocks([holder.last.lockToken])).toEqual([clock.now() + 1]);
    clock.advance(1);
    expect(holder.ended?.condition).toBe("com.microsoft:session-lock-lost");
    expect(refusal(() => queue.settle(holder.last.lockToken, { kind: "complete" })).condition).toBe("com.microsoft:session-lock-lost");
    expect(refusal(() => queue.renewSessionLock("a")).condition).toBe("com.microsoft:session-lock-lost");
  });

  it("counts a delivery when the session's lock ends, but not when the session is closed", async () => {
    const { queue, clock } = sessionQueue();
    send(queue, "a1", "a2");
    const closed = await acceptSession(queue, "a");
    closed.link.setCredit(2);
    closed.link.close();
    const lost = await acceptSession(queue, "a");
    lost.link.setCredit(1);
    expect(lost.deliveryCounts).toEqual([0]);
    clock.advance(10_000);
    const third = await acceptSession(queue, "a");
    third.link.setCredit(5);
    expect(third.texts).toEqual(["a1", "a2"]);
    expect(third.deliveryCounts).toEqual([1, 0]);
  });

  it("serves an abandoned message to the holder again before the next", async () => {
    const { queue } = sessionQueue();
    send(queue, "a1", "a2");
    const holder = await acceptSession(queue, "a");
    holder.link.setCredit(1);
    queue.settle(holder.last.lockToken, { kind: "abandon" });
    holder.link.setCredit(2);
    expect(holder.texts).toEqual(["a1", "a1", "a2"]);
  });

  it("keeps a session's state, also when it has no messages any more", async () => {
    const { queue } = sessionQueue();
    send(queue, "a1");
    const holder = await acceptSession(queue, "a");
    holder.link.setCredit(1);
    expect(queue.getSessionState("a")).toBeUndefined();
    queue.setSessionState("a", Buffer.from("half done"));
    queue.settle(holder.last.lockToken, { kind: "complete" });
    holder.link.close();
    expect(refusal(() => queue.getSessionState("a")).condition).toBe("com.microsoft:session-lock-lost");
    await acceptSession(queue, "a");
    expect(queue.getSessionState("a")?.toString()).toBe("half done");
    queue.setSessionState("a", undefined);
    expect(queue.getSessionState("a")).toBeUndefined();
  });

  it("lists its sessions, those with a state set since a time, page by page", async () => {
    const { queue, clock } = sessionQueue();
    send(queue, "c1", "a1", "b1");
    await acceptSession(queue, "b");
    clock.advance(1000);
    queue.setSessionState("b", Buffer.from("x"));
    expect(queue.listSessions(undefined, 0, 2)).toEqual(["a", "b"]);
    expect(queue.listSessions(undefined, 2, 2)).toEqual(["c"]);
    expect(queue.listSessions(clock.now() - 1, 0, 10)).toEqual(["b"]);
    expect(queue.listSessions(clock.now(), 0, 10)).toEqual([]);
  });

  it("shows the messages of one session to who peeks for it", async () => {
    const { queue } = sessionQueue();
    send(queue, "a1", "b1", "a2");
    expect(queue.peek(0n, 10, "a").map((peeked) => peeked.sequenceNumber)).toEqual([1n, 3n]);
  });

  it("dead-letters into a queue that needs no session", async () => {
    const { queue } = sessionQueue();
    send(queue, "a1");
    const holder = await acceptSession(queue, "a");
    holder.link.setCredit(1);
    queue.settle(holder.last.lockToken, { kind: "dead-letter", reason: "r", description: undefined });
    expect(receive(queue.deadLetters).texts).toEqual(["a1"]);
  });

  it("tells holders and who waits when it is deleted", async () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q", { requiresSession: true });
    const holder = await acceptSession(queue, "a");
    const waiting = refused(acceptSession(queue, undefined, 60_000));
    namespace.delete("q");
    expect(holder.ended?.condition).toBe("amqp:not-found");
    expect(await waiting).toBe("amqp:not-found");
  });

  it("lets a thousand sessions be held at once", async () => {
    const { queue } = sessionQueue();
    const holders = await Promise.all(Array.from({ length: 1000 }, (_, i) => acceptSession(queue, `s${i}`)));
    for (const holder of holders) holder.link.setCredit(1);
    queue.send(Array.from({ length: 1000 }, (_, i) => message(`m${i}`, { session: `s${i}` })));
    expect(holders.every((holder, i) => holder.texts.join() === `m${i}`)).toBe(true);
  });
});
