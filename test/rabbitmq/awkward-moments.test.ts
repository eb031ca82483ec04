import { describe, expect, test } from "vitest";
import { eventually } from "./support/eventually.js";
import { Port } from "./support/port.js";
import { CLOSE, letIn, METHODS, OPEN_OK, ScriptedServer } from "./support/scripted-server.js";

const PLAN = { name: "shipping", subscribed: [], unsubscribed: [], retryDelaysMs: [], order: "none" } as const;

/** What became of `work`: "pending" while nothing has. */
function fateOf(work: Promise<unknown>): { state: string } {
  const fate = { state: "pending" };
  work.then(
    () => {
      fate.state = "resolved";
    },
    (error: unknown) => {
      fate.state = `rejected: ${error instanceof Error && "code" in error ? String(error.code) : String(error)}`;
    },
  );
  return fate;
}

describe("awkward moments", () => {
  test("a stop while the server does not open the first channel ends the opening, and no connection stays", async () => {
    const server = await ScriptedServer.listen((_, method) => (method === METHODS.channelOpen ? undefined : letIn(method)));
    const port = new Port({ url: server.url }, "");
    const stop = new AbortController();
    const opening = fateOf(port.open(stop.signal));
    await eventually("the first channel to be asked for", () => server.methods.some(({ method }) => method === METHODS.channelOpen));

    stop.abort();
    await port.transport.close(performance.now() + 200);

    await eventually("the opening to end", () => opening.state !== "pending");
    expect(opening.state).toBe("rejected: unavailable");
    await eventually("the connection to be gone", () => server.open === 0);
  });

  test("a stop while a receiver waits for a connection that does not come back ends the start of the receiver", async () => {
    const server = await ScriptedServer.listen((connection, method) => (connection === 0 ? letIn(method) : undefined));
    const port = await new Port({ url: server.url }, "").open();
    const endpoint = fateOf(port.receive(PLAN));
    const letters = fateOf(port.receive(PLAN, 1, "dead-letter"));
    await eventually("the second connection to be asked for", () => server.accepted === 2);

    await port.transport.close(performance.now() + 200);

    await eventually("both to end", () => endpoint.state !== "pending" && letters.state !== "pending");
    expect(endpoint.state).toBe("rejected: unavailable");
    expect(letters.state).toBe("rejected: unavailable");
  });

  test("a stop after the connection for receiving went ends the start of a receiver", async () => {
    // The connection is let in, and closed in answer to the first request on it.
    const server = await ScriptedServer.listen((connection, method) => {
      if (connection === 0) return letIn(method);
      if (connection > 1) return undefined;
      return method === METHODS.channelOpen ? [CLOSE] : letIn(method);
    });
    const port = await new Port({ url: server.url }, "").open();
    const receiving = fateOf(port.receive(PLAN));
    await eventually("the connection to be made anew", () => server.accepted === 3);

    await port.transport.close(performance.now() + 200);

    await eventually("the start to end", () => receiving.state !== "pending");
    expect(receiving.state).toBe("rejected: unavailable");
  });

  test.each(["channelClose", "close"] as const)("a server that goes instead of answering %s does not hold up the end", async (moment) => {
    const server = await ScriptedServer.listen((_, method) => (method === METHODS[moment] ? "cut" : letIn(method)));
    const port = await new Port({ url: server.url }, "").open();
    const before = performance.now();

    await port.transport.close(before + 10_000);

    expect(performance.now() - before).toBeLessThan(5_000);
  });

  test("a connection for receiving that was closed before anybody could hear of it is made anew", async () => {
    const server = await ScriptedServer.listen((connection, method) => {
      if (connection === 0) return letIn(method);
      // One chunk: the client takes both in before it hands the connection out.
      return method === METHODS.open ? [OPEN_OK, CLOSE] : letIn(method);
    });
    const port = await new Port({ url: server.url }, "").open();
    const receiving = fateOf(port.receive(PLAN));

    await eventually("a third connection", () => server.accepted >= 3);

    await port.transport.close(performance.now() + 200);
    await eventually("the start to end", () => receiving.state !== "pending");
  });
});
