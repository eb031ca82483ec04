import { expect, test } from "vitest";
import { HealthBoard } from "../../../src/bus/health-board.js";
import type { RunningEndpoint } from "../../../src/endpoint/running-endpoint.js";
import { Placed, testBus } from "../../support/test-bus.js";

function board(): HealthBoard {
  const made = new HealthBoard();
  made.life = "started";
  return made;
}
const endpoint = (name: string, status: "up" | "paused" | "stalled" | "down"): RunningEndpoint =>
  ({ name, health: () => ({ name, status }) }) as unknown as RunningEndpoint;

test("everything up is up, and one endpoint that is not makes it degraded", () => {
  expect(board().read(0, []).status).toBe("up");
  expect(board().read(0, [endpoint("a", "up"), endpoint("b", "up")]).status).toBe("up");
  for (const status of ["paused", "stalled", "down"] as const) {
    expect(board().read(0, [endpoint("a", "up"), endpoint("b", status)]).status).toBe("degraded");
  }
});

test("no way to publish, or all endpoints down, is down", () => {
  const made = board();
  made.publisherIs("down", "the broker is gone");
  expect(made.read(3, [endpoint("a", "up")])).toMatchObject({
    status: "down",
    publisher: { status: "down", reason: "the broker is gone", pending: 3 },
  });
  expect(board().read(0, [endpoint("a", "down"), endpoint("b", "down")]).status).toBe("down");
});

test("a publisher that the broker blocks is blocked, which is degraded", () => {
  const made = board();
  made.publisherIs("degraded", "low on memory");
  expect(made.read(0, [])).toMatchObject({ status: "degraded", publisher: { status: "blocked", reason: "low on memory" } });
});

test("a store that is down makes it degraded, until it is up again", () => {
  const made = board();
  made.storeIs("down", undefined);
  expect(made.read(0, []).status).toBe("degraded");
  made.storeIs("up", undefined);
  expect(made.read(0, []).status).toBe("up");
});

test("before the start and after the stop that is what it says, unless it publishes without a start", () => {
  const made = new HealthBoard();
  expect(made.read(0, []).status).toBe("starting");
  expect(made.read(0, [], true).status).toBe("up");
  made.life = "stopped";
  made.publisherIs("down", "closed");
  expect(made.read(0, [], true).status).toBe("stopped");
});

test("what the transport tells of an endpoint is told on: its state, the reason, and what waits in the broker", async () => {
  const { bus, transport } = testBus();
  bus.subscribe(Placed, () => {});
  await bus.start();
  const told = () => bus.health().endpoints[0];
  expect(told()).toMatchObject({ name: "shop", status: "up", reason: undefined, lag: undefined, inFlight: 0, strays: 0 });
  transport.host?.lag("shop", 17);
  transport.host?.status({ endpoint: "shop" }, "degraded", "the queue was deleted");
  expect(told()).toMatchObject({ status: "paused", reason: "the queue was deleted", lag: 17 });
  transport.host?.status({ endpoint: "shop" }, "down", "no channel");
  expect(told()).toMatchObject({ status: "down", reason: "no channel" });
  expect(bus.health().status).toBe("down");
  transport.host?.status({ endpoint: "shop" }, "up");
  transport.host?.status({ publisher: true }, "up");
  expect(told()).toMatchObject({ status: "up", reason: undefined });
  await bus.stop();
});
