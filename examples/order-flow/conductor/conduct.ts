import type { StartHosted } from "../hosting/host.js";
import { now, type OnReport } from "../hosting/report.js";
import { closing } from "../print/closing.js";
import { opening } from "../print/opening.js";
import type { Paint } from "../print/paint.js";
import { Story } from "../print/story.js";
import type { BusSettings, Settings } from "../settings.js";
import { Cast } from "./cast.js";
import { Checks } from "./checks.js";
import { Customer } from "./customer.js";
import { Journal } from "./journal.js";
import { OutsideWorld } from "./outside-world.js";
import { allGoesWell } from "./scenarios/all-goes-well.js";
import { carrierOutOfOrder } from "./scenarios/carrier-out-of-order.js";
import { deliveredTwice } from "./scenarios/delivered-twice.js";
import { poison } from "./scenarios/poison.js";
import type { Stage } from "./stage.js";

const SCENARIOS = [allGoesWell, carrierOutOfOrder, poison, deliveredTwice];

export interface ConductOptions {
  readonly bus: BusSettings;
  readonly startHosted: StartHosted;
  readonly write: (text: string) => void;
  readonly paint: Paint;
}

/** Starts the services, plays the scenarios, stops the services and sums up. Resolves with the exit code. */
export async function conduct({ bus, startHosted, write, paint }: ConductOptions): Promise<number> {
  const began = now();
  const story = new Story(write, paint);
  const journal = new Journal();
  const world = new OutsideWorld();
  const checks = new Checks();
  const onReport: OnReport = (report) => {
    journal.add(report);
    if (report.kind === "line") story.tell(report.service, report.at, report.line);
  };
  const cast = new Cast(startHosted, onReport);
  process.once("SIGINT", () => {
    story.end("interrupted: the services are being stopped");
    void cast.stopAll().finally(() => process.exit(130));
  });

  try {
    const settings = await startAll(cast, bus, await world.open());
    story.text(opening(bus, cast.services, paint));
    await play({ settings, cast, world, journal, story, checks, customer: new Customer(cast.url("gateway"), story) });
  } catch (error) {
    await story.settled();
    checks.that("The flow was played to its end", false, error instanceof Error ? error.message : String(error));
  }
  await stopAll(cast, checks);
  await world.close();

  const seconds = ((now() - began) / 1000).toFixed(1);
  story.text(closing({ counts: cast.counts, checks, log: journal.log, seconds }, paint));
  return checks.failed.length === 0 ? 0 : 1;
}

async function play(stage: Stage): Promise<void> {
  for (const [index, scenario] of SCENARIOS.entries()) {
    stage.story.heading(index + 1, scenario.title, scenario.gloss, now());
    await scenario.play(stage);
    await stage.story.settled();
  }
}

async function stopAll(cast: Cast, checks: Checks): Promise<void> {
  const running = cast.services.length;
  if (running === 0) return;
  const troubles = await cast.stopAll();
  checks.that("Every service stopped cleanly", troubles.length === 0, troubles.join("; ") || `${running} services`);
}

async function startAll(cast: Cast, bus: BusSettings, outside: { carrier: string; mailbox: string }): Promise<Settings> {
  const settings: Settings = {
    bus,
    urls: { ...outside, orders: "" },
    callOrders: { timeoutMs: 1_000, tries: 3, pauseMs: 100 },
    shippingVersion: "1.0",
    lateAnswer: { customer: "Dan", ms: 1_500 },
  };
  const orders = await cast.start("orders", settings);
  // All are awaited, also when one fails: what has started must be known to be stopped.
  const subscribers = await Promise.allSettled((["shipping", "email", "analytics"] as const).map((name) => cast.start(name, settings)));
  for (const started of subscribers) if (started.status === "rejected") throw started.reason;
  const complete = { ...settings, urls: { ...settings.urls, orders: orders.url } };
  await cast.start("gateway", complete);
  return complete;
}
