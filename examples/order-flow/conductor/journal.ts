import type { Report } from "../hosting/report.js";
import type { ServiceName } from "../services/index.js";
import type { Line } from "../services/service.js";
import { until } from "./until.js";

export type ReportedLine = Extract<Report, { kind: "line" }>;
type Wanted = { readonly service: ServiceName } & Partial<Pick<Line, "subject" | "orderId" | "mood">>;

/** Keeps all that the services said, to wait for it and to check it. */
export class Journal {
  readonly #lines: ReportedLine[] = [];
  /** What the bus had to say in the services' logs: shown when the run goes wrong. */
  readonly log: string[] = [];

  add(report: Report): void {
    if (report.kind === "line") this.#lines.push(report);
    else this.log.push(`${report.service} ${report.level}: ${report.text}`);
  }

  lines({ service, subject, orderId, mood }: Wanted): readonly ReportedLine[] {
    return this.#lines.filter(
      (report) =>
        report.service === service &&
        (subject === undefined || report.line.subject === subject) &&
        (orderId === undefined || report.line.orderId === orderId) &&
        (mood === undefined || report.line.mood === mood),
    );
  }

  /** The first such line, now or soon. */
  heard(wanted: Wanted): Promise<ReportedLine> {
    const what = `${wanted.service} to report ${wanted.subject ?? "something"} of ${wanted.orderId ?? "any order"}`;
    return until(what, () => this.lines(wanted)[0]);
  }
}
