import type { ServiceName } from "../services/index.js";
import type { Settings } from "../settings.js";
import type { Report } from "./report.js";

/** What a service's process is told over the channel of `fork`. */
export type ToChild = { readonly type: "start"; readonly name: ServiceName; readonly settings: Settings } | { readonly type: "stop" };

/** What it says. */
export type FromChild =
  | { readonly type: "started"; readonly url: string }
  | { readonly type: "failed"; readonly text: string }
  | { readonly type: "report"; readonly report: Report };
